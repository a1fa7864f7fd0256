"""Has photographs translated and searched for by `pcfh serve` over HTTP; needs nothing but Python.

    pcfh serve                                    # prints its address
    python web_client.py http://127.0.0.1:8765 nir.png --enrol "Ada=ada.jpg" "Bo=bo.jpg"
    python web_client.py http://127.0.0.1:8765 nir.png --served --far 0.001 --token token.txt

The generated face is written beside the photograph. The second line compares it with people enrolled for this
session, the third with the gallery that the server was started with.
"""

import argparse
import base64
import json
import time
import urllib.error
import urllib.request
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.parse import quote


class Client:
    """A session with a server; what it keeps for us ends with it."""

    def __init__(self, address: str, token: str | None) -> None:
        self.address, self.headers = (
            address.rstrip("/"),
            {"Authorization": f"Bearer {token}"} if token else {},
        )
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        self.ask("POST", "/api/session")

    def ask(self, method: str, path: str, body: bytes | None = None, **names: str) -> dict:
        """Asks until the server has time; other errors end the program with what the server says."""
        headers = {f"X-{name.replace('_', '-')}": quote(value) for name, value in names.items()}
        request = urllib.request.Request(
            self.address + path, body, {**self.headers, **headers}, method=method
        )
        while True:
            try:
                with self.opener.open(request) as answer:
                    return json.load(answer)
            except urllib.error.HTTPError as error:
                if error.code != 503:
                    raise SystemExit(f"{error.code}: {json.load(error)['error']}") from None
                time.sleep(float(error.headers.get("Retry-After", 2)))


def main() -> None:
    """Translates one photograph and prints whom it is like."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("address")
    parser.add_argument("photograph", type=Path)
    parser.add_argument("--enrol", nargs="*", default=[], metavar="PERSON=FILE")
    parser.add_argument("--served", action="store_true", help="search the server's own gallery")
    parser.add_argument("--far", type=float, default=0.01)
    parser.add_argument("--token", type=Path, help="file with the server's token")
    given = parser.parse_args()
    client = Client(given.address, given.token.read_text().strip() if given.token else None)
    for person, _, file in (text.partition("=") for text in given.enrol):
        client.ask("POST", "/api/gallery", Path(file).read_bytes(), Person=person, File_Name=Path(file).name)
    face = client.ask("POST", "/api/faces", given.photograph.read_bytes(), File_Name=given.photograph.name)
    given.photograph.with_name(face["file"]).write_bytes(base64.b64decode(face["generated"].split(",")[1]))
    found = client.ask(
        "GET", f"/api/faces/{face['face']}/{'search' if given.served else 'matches'}?far={given.far}"
    )
    for match in found["matches"]:
        print(f"{match['fused']:.4f}  {match['decision'] or 'no threshold'}  {match['person']}")
    client.ask("DELETE", "/api/session")


if __name__ == "__main__":
    main()
