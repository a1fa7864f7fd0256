import unicodedata

import pytest

from pcfh.databases.flattened import read_flattened
from pcfh.databases.lists import DiskIndex, look_up, read_lines
from pcfh.errors import UserError
from pcfh.landmarks.given import landmark_key


@pytest.fixture
def flat(tmp_path, drawn, listed):
    """A flattened re-distribution: two training people and one test person, lists as DVG's."""
    for n, name in enumerate(["s1_NIR_00001_001.jpg", "s2_NIR_00001_002.jpg", "s1_NIR_00002_001.jpg"]):
        drawn(tmp_path / "NIR" / name, seed=n, grey=True)
    for n, name in enumerate(["s1_VIS_00001_001.jpg", "s1_VIS_00002_001.jpg", "s4_VIS_30413_001.jpg"]):
        drawn(tmp_path / "VIS" / name, seed=10 + n)
    drawn(tmp_path / "NIR" / "s4_NIR_30413_001.jpg", grey=True)
    listed(tmp_path / "train.txt", TRAIN, newline="\n")
    return tmp_path


TRAIN = [
    "NIR/s1_NIR_00001_001.jpg 0 0",
    "NIR/s2_NIR_00001_002.jpg 0 0",
    "NIR/s1_NIR_00002_001.jpg 1 0",
    "VIS/s1_VIS_00001_001.jpg 0 1",
    "VIS/s1_VIS_00002_001.jpg 1 1",
]


def test_lines_have_their_numbers_and_forward_slashes(tmp_path, listed):
    listed(tmp_path / "a.txt", [r"s1\NIR\00001\001.bmp", "", r"s1\NIR\00001\002.bmp 7"])
    lines = read_lines(tmp_path / "a.txt")
    assert [(line.place.rpartition("line ")[2], line.path, line.columns) for line in lines] == [
        ("1", "s1/NIR/00001/001.bmp", ()),
        ("3", "s1/NIR/00001/002.bmp", ("7",)),
    ]


def test_a_byte_order_mark_is_no_part_of_the_path(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfa.jpg\r\n")
    assert read_lines(tmp_path / "a.txt")[0].path == "a.jpg"


@pytest.mark.parametrize("row", ["a.jpg,P001", "a.jpg, P001", "a.jpg P001", "a.jpg\tP001,"])
def test_commas_and_blanks_part_the_columns(tmp_path, listed, row):
    listed(tmp_path / "a.csv", [row])
    (line,) = read_lines(tmp_path / "a.csv")
    assert (line.path, line.columns) == ("a.jpg", ("P001",))


def test_an_empty_list_is_refused(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\r\n \r\n")
    with pytest.raises(UserError, match=r"a\.txt: expected one path per line, the list is empty"):
        read_lines(tmp_path / "a.txt")


def test_an_absent_list_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"gone\.txt: cannot be read as a list"):
        read_lines(tmp_path / "gone.txt")


def test_a_picture_is_no_list(tmp_path, drawn):
    drawn(tmp_path / "a.png")
    with pytest.raises(UserError, match="cannot be read as a list"):
        read_lines(tmp_path / "a.png")


@pytest.mark.parametrize("on_disk", ["001.bmp", "001.JPG", "001.Png", "001.tiff", "001.webp"])
def test_a_file_is_found_under_another_extension_or_case(tmp_path, on_disk):
    (tmp_path / "s1").mkdir()
    (tmp_path / "s1" / on_disk).touch()
    assert DiskIndex(tmp_path).find("S1/001.bmp") == f"s1/{on_disk}"


def test_the_exact_name_is_preferred(tmp_path):
    for name in ("a.jpg", "A.JPG", "a.bmp"):
        (tmp_path / name).touch()
    assert [DiskIndex(tmp_path).find(name) for name in ("A.JPG", "a.bmp", "a.jpg")] == [
        "A.JPG",
        "a.bmp",
        "a.jpg",
    ]


def test_another_name_is_not_found(tmp_path):
    (tmp_path / "0011.jpg").touch()
    assert DiskIndex(tmp_path).find("001.jpg") is None


def test_no_listed_path_leads_out_of_the_root(tmp_path):
    (tmp_path / "root").mkdir()
    (tmp_path / "secret.jpg").touch()
    found = [DiskIndex(tmp_path / "root").find(path) for path in ("../secret.jpg", f"{tmp_path}/secret.jpg")]
    assert found == [None, None]


@pytest.mark.parametrize("listed", ["/", "./", "."])
def test_a_path_of_nothing_is_not_found(tmp_path, listed):
    assert DiskIndex(tmp_path).find(listed) is None


def test_a_path_that_begins_with_a_dot_is_found(tmp_path):
    (tmp_path / "a.jpg").touch()
    assert DiskIndex(tmp_path).find("././a.jpg") == "a.jpg"


def test_a_file_in_the_place_of_a_folder_is_not_entered(tmp_path):
    (tmp_path / "s1").touch()
    assert DiskIndex(tmp_path).find("s1/001.jpg") is None


def test_the_person_and_session_are_read_from_the_flattened_name(flat):
    database = read_flattened(flat, flat / "train.txt")
    assert [(r.subject, r.session) for r in database.protocol("1").train] == [
        ("00001", "s1"),
        ("00001", "s2"),
        ("00002", "s1"),
        ("00001", "s1"),
        ("00002", "s1"),
    ]


def test_the_domain_column_tells_the_modality(flat):
    records = read_flattened(flat, flat / "train.txt").protocol("1").train
    assert [record.modality for record in records] == ["NIR", "NIR", "NIR", "VIS", "VIS"]


def test_the_path_tells_the_modality_where_there_is_no_domain_column(flat, listed):
    listed(flat / "train.txt", [line[:-2] for line in TRAIN])
    records = read_flattened(flat, flat / "train.txt").protocol("1").train
    assert [record.modality for record in records] == ["NIR", "NIR", "NIR", "VIS", "VIS"]


@pytest.mark.parametrize(("name", "modality"), [("NI", "NIR"), ("VL", "VIS")])
def test_the_cameras_of_oulu_tell_the_modality_too(tmp_path, drawn, listed, name, modality):
    drawn(tmp_path / f"{name}_Strong_P001_Anger_000.jpeg")
    listed(tmp_path / "test_paths.csv", [f"{name}_Strong_P001_Anger_000.jpeg,P001"])
    record = read_flattened(tmp_path, tmp_path / "test_paths.csv").records[0]
    assert (record.subject, record.modality) == ("P001", modality)


def test_the_label_is_the_person_where_the_path_names_none(tmp_path, drawn, listed):
    drawn(tmp_path / "pictures" / "a.jpg")
    listed(tmp_path / "train.txt", ["pictures/a.jpg 351 0"])
    record = read_flattened(tmp_path, tmp_path / "train.txt").records[0]
    assert (record.subject, record.modality, record.session) == ("351", "NIR", "")


def test_a_label_is_one_person_in_both_spellings_of_its_letters(tmp_path, drawn, listed):
    labels = ("Zo\u00eb", "Zoe\u0308", "zo\u00eb")
    lines = []
    for place, label in enumerate(labels):
        drawn(tmp_path / f"{place}.jpg")
        lines.append(f"{place}.jpg {label} {place % 2}")
    listed(tmp_path / "train.txt", lines)
    database = read_flattened(tmp_path, train=tmp_path / "train.txt")
    assert [record.subject for record in database.records] == [labels[0], labels[0], labels[2]]


def test_the_official_form_without_labels_is_read_too(casia):
    lists = casia / "protocols"
    database = read_flattened(
        casia, lists / "vis_train_1.txt", lists / "vis_gallery_1.txt", probe=lists / "nir_probe_1.txt"
    )
    assert [(r.subject, r.modality, r.session) for r in database.protocol("1").gallery] == [
        ("00003", "VIS", "s1"),
        ("00004", "VIS", "s3"),
    ]


def test_the_person_is_the_folder_below_one_of_a_modality(tmp_path, drawn, listed):
    drawn(tmp_path / "NIR_128x128" / "anna" / "x.jpg")
    listed(tmp_path / "train.txt", ["NIR_128x128/anna/x.jpg"])
    assert read_flattened(tmp_path, tmp_path / "train.txt").records[0].subject == "anna"


@pytest.mark.parametrize("header", ["path label domain", "5"])
def test_a_header_is_skipped_and_noted(flat, listed, header):
    listed(flat / "train.txt", [header, *TRAIN])
    database = read_flattened(flat, flat / "train.txt")
    assert len(database.records) == 5
    assert database.notes == (f"train.txt: the first line was taken for a header: {header}",)


def test_gallery_and_probe_make_the_protocol_of_that_name(flat, listed):
    listed(flat / "g.txt", ["VIS/s4_VIS_30413_001.jpg 2"])
    listed(flat / "p.txt", ["NIR/s4_NIR_30413_001.jpg 2"])
    protocol = read_flattened(
        flat, flat / "train.txt", flat / "g.txt", probe=flat / "p.txt", name="f"
    ).protocol("f")
    assert [record.path for record in (*protocol.gallery, *protocol.probe)] == [
        "VIS/s4_VIS_30413_001.jpg",
        "NIR/s4_NIR_30413_001.jpg",
    ]


def test_a_person_in_training_and_test_is_refused(flat, listed):
    listed(flat / "p.txt", ["NIR/s2_NIR_00001_002.jpg 0"])
    with pytest.raises(UserError, match="1 people are in training and test"):
        read_flattened(flat, flat / "train.txt", probe=flat / "p.txt")


def test_absent_files_are_counted_named_and_left_out(flat, listed):
    listed(flat / "train.txt", [*TRAIN, "VIS/s1_VIS_00009_001.jpg 9 1", "VIS/s1_VIS_00009_002.jpg 9 1"])
    database = read_flattened(flat, flat / "train.txt")
    assert len(database.protocol("1").train) == 5
    assert database.notes == (
        "train.txt: 2 of 7 listed files are not on disk and left out: "
        "VIS/s1_VIS_00009_001.jpg, VIS/s1_VIS_00009_002.jpg",
    )


def test_many_absent_files_are_counted_and_the_first_named(flat, listed):
    listed(flat / "train.txt", [*TRAIN, *(f"VIS/s1_VIS_00009_{n:03}.jpg" for n in range(30))])
    (note,) = read_flattened(flat, flat / "train.txt").notes
    assert note.startswith("train.txt: 30 ")
    assert note.endswith("s1_VIS_00009_019.jpg, ... (10 more)")


def test_repeated_lines_count_once_and_are_noted(flat, listed):
    listed(flat / "train.txt", [*TRAIN, TRAIN[0]])
    database = read_flattened(flat, flat / "train.txt")
    assert len(database.protocol("1").train) == 5
    assert database.notes == ("train.txt: 1 lines repeat a file and were left out: NIR/s1_NIR_00001_001.jpg",)


def test_a_list_without_a_single_file_is_refused(flat, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    with pytest.raises(UserError, match=r"train\.txt: none of its 5 files is below .*elsewhere"):
        read_flattened(tmp_path / "elsewhere", flat / "train.txt")


def test_probes_without_a_gallery_are_refused(flat, listed):
    listed(flat / "p.txt", ["NIR/s4_NIR_30413_001.jpg 2"])
    with pytest.raises(UserError, match="protocol '1': 1 probes and an empty gallery; add the enrolled"):
        read_flattened(flat, flat / "train.txt", probe=flat / "p.txt")


@pytest.mark.parametrize(("gallery", "probe", "part"), [("NIR", "NIR", "gallery"), ("VIS", "VIS", "probe")])
def test_lists_of_the_wrong_modality_are_refused(flat, listed, gallery, probe, part):
    listed(flat / "g.txt", [f"{gallery}/s4_{gallery}_30413_001.jpg 2"])
    listed(flat / "p.txt", [f"{probe}/s4_{probe}_30413_001.jpg 2"])
    with pytest.raises(
        UserError, match=rf"captures in the {part} list, got .*; are gallery and probe swapped"
    ):
        read_flattened(flat, flat / "train.txt", flat / "g.txt", probe=flat / "p.txt")


def test_a_file_of_two_people_in_two_lists_is_refused(tmp_path, drawn, listed):
    drawn(tmp_path / "VIS" / "a.jpg")
    listed(tmp_path / "t.txt", ["VIS/a.jpg 3"])
    listed(tmp_path / "g.txt", ["VIS/a.jpg 4"])
    with pytest.raises(UserError, match=r"VIS/a\.jpg is of person 4, and of person 3 in another list"):
        read_flattened(tmp_path, tmp_path / "t.txt", tmp_path / "g.txt")


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        (["path label"], r"train\.txt: expected one image path per line, got only 'path'"),
        (
            [*TRAIN[:4], "VIS/s1_VIS_00002_001.jpg 1 0"],
            r"train\.txt, line 5: path and domain column dis",
        ),
        ([TRAIN[0], f"{TRAIN[1][:-1]}2"], r"line 2: expected domain 0 \(NIR\) or 1 \(VIS\), got '2'"),
        (
            [*TRAIN[:4], "VIS/s1_VIS_00002_001.jpg 7 1"],
            r"line 5: person 00002 has label 7 here and 1 in .*3",
        ),
        ([*TRAIN, "notes.md 1 1"], r"line 6: expected the path of an image, got 'notes\.md'"),
        (["NIR/a.jpg 3", "NIR/a.jpg 4"], r"line 2: says something else of NIR/a\.jpg than a line before"),
        (["a.jpg 3"], "line 1: nothing says whether this is NIR or VIS"),
        (["NIR/a.jpg"], "line 1: neither the path nor a label says whose"),
    ],
)
def test_a_list_that_cannot_be_is_refused_with_the_place(flat, drawn, listed, lines, text):
    for name in ("a.jpg", "NIR/a.jpg"):
        drawn(flat / name)
    (flat / "notes.md").touch()
    listed(flat / "train.txt", lines)
    with pytest.raises(UserError, match=text):
        read_flattened(flat, flat / "train.txt")


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("NIR/anna b/a.jpg", "{} 3 0"),
        ("NIR/anna b/a c.jpg", "{}"),
        ("NIR/anna/a, b.jpg", "{} 3 0"),
        ("NIR/anna/a, b.jpg", '"{}",3,0'),
        ("NIR/anna/a;b.jpg", "{};3;0"),
        ('NIR/anna/a"b.jpg', "{} 3 0"),
        ("NIR/anna/it's.jpg", "{}, 3, 0"),
        ("NIR/anna/#1.jpg", "{}\t3\t0"),
        ("NIR/#1/a.jpg", "{} 3 0"),
    ],
)
def test_names_of_any_kind_can_be_listed(tmp_path, drawn, listed, name, row):
    for path in (name, "NIR/anna.jpg", "NIR/anna/a.jpg"):  # the others are in the way of a hasty reader
        drawn(tmp_path / path)
    listed(tmp_path / "train.txt", [row.format(name)])
    (found,) = look_up(tmp_path / "train.txt", DiskIndex(tmp_path)).there
    assert (found[1], found[0].columns) == (name, ("3", "0") if "3" in row else ())


@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC")])
def test_a_letter_and_its_accent_are_one_or_two(tmp_path, listed, forms):
    listed_as, on_disk = (unicodedata.normalize(form, "Müller/é.jpg") for form in forms)
    (tmp_path / on_disk).parent.mkdir()
    (tmp_path / on_disk).touch()
    assert DiskIndex(tmp_path).find(listed_as) == on_disk
    assert landmark_key(listed_as) == landmark_key(on_disk)


def test_a_folder_is_no_picture(tmp_path):
    (tmp_path / "a" / "b.jpg").mkdir(parents=True)
    assert [DiskIndex(tmp_path).find(path) for path in ("a", "a/b.jpg")] == [None, None]


@pytest.mark.parametrize("above", ["db/", "/data/db/", "D:/data/db/"])
def test_a_path_that_begins_above_the_root_is_found(tmp_path, above):
    (tmp_path / "db").mkdir()
    (tmp_path / "db" / "a.jpg").touch()
    assert DiskIndex(tmp_path / "db").find(f"{above}a.jpg") == "a.jpg"


def test_a_list_of_another_programs_text_is_read(tmp_path):
    (tmp_path / "a.txt").write_bytes("a.jpg 1\r\nb.jpg 2\r\n".encode("utf-16"))
    assert [line.path for line in read_lines(tmp_path / "a.txt")] == ["a.jpg", "b.jpg"]


def test_a_list_in_an_older_encoding_is_refused_with_the_remedy(tmp_path):
    (tmp_path / "a.txt").write_bytes("Müller.jpg".encode("latin-1"))
    with pytest.raises(UserError, match=r"a\.txt: cannot be read .*; save it as text in UTF-8"):
        read_lines(tmp_path / "a.txt")


def test_a_list_without_extensions_keeps_its_first_line(flat, listed):
    listed(flat / "train.txt", [line.replace(".jpg", "") for line in TRAIN])
    assert len(read_flattened(flat, flat / "train.txt").records) == 5


def test_comments_are_passed_over_and_counted(flat, listed):
    listed(flat / "train.txt", ["# by hand", TRAIN[0], "# and more", *TRAIN[1:]])
    database = read_flattened(flat, flat / "train.txt")
    assert (len(database.records), database.notes) == (5, ("train.txt: 2 lines were taken for comments",))


def test_paths_in_another_column_are_named(flat, listed):
    listed(flat / "train.txt", [f"7 {line}" for line in TRAIN])
    with pytest.raises(UserError, match="its paths are in column 2; put them first"):
        read_flattened(flat, flat / "train.txt")


@pytest.fixture
def sessions(tmp_path, drawn, listed):
    """Six people of one picture each, in folders of a person and below that of a session."""
    names = [f"NIR/subject_{who}/{who % 2 + 1}/001.jpg" for who in range(6)]
    for name in names:
        drawn(tmp_path / name, grey=True)
    return tmp_path, names


def test_two_folders_that_may_be_the_person_are_not_guessed_at(sessions, listed):
    root, names = sessions
    listed(root / "train.txt", names)
    with pytest.raises(UserError, match=r"its person may be the folder subject_0 or 1\); add a label"):
        read_flattened(root, root / "train.txt")


def test_the_label_says_who_it_is_where_folders_do_not(sessions, listed):
    root, names = sessions
    listed(root / "train.txt", [f"{name} person-{name[12]}" for name in names])
    records = read_flattened(root, root / "train.txt").records
    assert {(r.path[12], r.subject) for r in records} == {(str(n), f"person-{n}") for n in range(6)}


@pytest.mark.parametrize(
    ("people", "expected"), [("label", {"0", "1", "7"}), ("path", {"00001", "00002"}), ("auto", None)]
)
def test_labels_and_paths_that_disagree_are_decided_by_the_user(flat, listed, people, expected):
    listed(flat / "train.txt", [*TRAIN[:4], "VIS/s1_VIS_00002_001.jpg 7 1"])
    if expected is None:
        with pytest.raises(UserError, match="--option people=label or people=path"):
            read_flattened(flat, flat / "train.txt")
    else:
        database = read_flattened(flat, flat / "train.txt", people=people)
        assert {record.subject for record in database.records} == expected


def test_one_label_of_two_people_by_the_paths_is_not_guessed_at(flat, listed):
    listed(flat / "train.txt", [line.replace(" 1 ", " 0 ") for line in TRAIN])
    with pytest.raises(UserError, match="label 0 is that of person 00002 here and of 00001 in"):
        read_flattened(flat, flat / "train.txt")


def test_labels_may_begin_anew_in_the_lists_for_the_test(flat, listed):
    listed(flat / "g.txt", ["VIS/s4_VIS_30413_001.jpg 0 1"])
    listed(flat / "p.txt", ["NIR/s4_NIR_30413_001.jpg 0 0"])
    protocol = read_flattened(flat, flat / "train.txt", flat / "g.txt", probe=flat / "p.txt").protocol("1")
    assert [record.subject for record in (*protocol.gallery, *protocol.probe)] == ["30413", "30413"]


def test_people_told_by_paths_alone_are_said(flat, listed):
    listed(flat / "train.txt", [line[:-4] for line in TRAIN])
    (note,) = read_flattened(flat, flat / "train.txt").notes
    assert note == "no labels: people are told by the paths, e.g. NIR/s1_NIR_00001_001.jpg is 00001"


def test_probes_of_people_who_are_not_enrolled_are_left_out_where_the_list_is_read(flat, listed):
    listed(flat / "g.txt", ["VIS/s4_VIS_30413_001.jpg"])
    listed(flat / "p.txt", ["NIR/s4_NIR_30413_001.jpg", "NIR/s1_NIR_00002_001.jpg"])
    listed(flat / "train.txt", TRAIN[:2])
    database = read_flattened(flat, flat / "train.txt", flat / "g.txt", probe=flat / "p.txt")
    assert [record.subject for record in database.protocol("1").probe] == ["30413"]
    assert "protocol 1: 1 probes of 1 people who are not enrolled are left out (00002)" in database.notes


def test_lists_that_name_people_differently_are_refused(tmp_path, drawn, listed):
    for name in ("NIR/a.jpg", "VIS/a.jpg", "VIS/b.jpg"):
        drawn(tmp_path / name)
    for name, row in (("t", "VIS/b.jpg 9"), ("g", "VIS/a.jpg 003"), ("p", "NIR/a.jpg 3")):
        listed(tmp_path / f"{name}.txt", [row])
    with pytest.raises(UserError, match="they are 3, and the gallery has 003: give a person the same name"):
        read_flattened(tmp_path, tmp_path / "t.txt", tmp_path / "g.txt", probe=tmp_path / "p.txt")
