"""A mail server for the tests of alerts: aiosmtpd (Debian's python3-aiosmtpd), as a process of its own.

    with SmtpServer(tls="starttls", login=("anna", "secret")) as server:
        server.url, server.ca_file, server.mails()      # each an email.message.EmailMessage

Why a process: Debian's module belongs to Debian's Python, which need not be the one that runs the tests. What it
takes is written to a folder, one file a mail. tls: "" (none), "starttls" or "smtps". fault: "", "451" (try later),
"550" (refused), "hang" (takes the mail and never answers). refuse: addresses that are refused, with the status. Part of harness.py's family.
"""

import email
import email.policy
import json
import subprocess
import sys
from pathlib import Path

if __name__ != "__main__":
    from harness_base import Unavailable, at_exit, forget_exit, free_port, temp_dir

PYTHONS = ("/usr/bin/python3", sys.executable)


def python_with_aiosmtpd() -> str:
    for python in PYTHONS:
        if subprocess.run([python, "-c", "import aiosmtpd"], capture_output=True).returncode == 0:
            return python
    raise Unavailable("aiosmtpd is not installed (tools/install-dependencies installs it)")


class SmtpServer:
    def __init__(self, tls: str = "", login: tuple[str, str] | None = None, fault: str = "", host: str = "127.0.0.1",
                 port: int = 0, refuse: dict[str, str] | None = None):
        self.folder = temp_dir("hf-smtp-")
        self.ca_file = self.folder / "certificate.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test",
             "-addext", "subjectAltName=IP:127.0.0.1,IP:0.0.0.0", "-keyout", self.folder / "key.pem", "-out",
             self.ca_file], check=True, capture_output=True)
        self.port = port or free_port()
        scheme = "smtps" if tls == "smtps" else "smtp"
        self.url = f"{scheme}://{host}:{self.port}"
        options = {"port": self.port, "tls": tls, "login": login, "fault": fault, "folder": str(self.folder),
                   "refuse": refuse or {}}
        self._process = subprocess.Popen([python_with_aiosmtpd(), __file__], stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        at_exit(self.close)
        self._process.stdin.write(json.dumps(options) + "\n")
        self._process.stdin.flush()
        if self._process.stdout.readline() != "ready\n":
            raise AssertionError("the mail server did not start")

    def mails(self) -> list:
        files = sorted(self.folder.glob("*.eml"), key=lambda f: int(f.stem))
        return [email.message_from_bytes(f.read_bytes(), policy=email.policy.default) for f in files]

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
            self._process.stdin.close()
            self._process.stdout.close()
            forget_exit(self.close)

    def __enter__(self) -> "SmtpServer":
        return self

    def __exit__(self, *_) -> None:
        self.close()


def _serve() -> None:
    import asyncio
    import ssl

    from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

    options = json.loads(sys.stdin.readline())
    folder = Path(options["folder"])
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    login = options["login"]

    class Handler:
        number = 0

        async def handle_RCPT(self, _server, _session, envelope, address, _options):
            if address in options["refuse"]:
                return options["refuse"][address] + " not here"
            envelope.rcpt_tos.append(address)
            return "250 OK"

        async def handle_DATA(self, _server, _session, envelope):
            if options["fault"] == "hang":
                await asyncio.sleep(600)
            if options["fault"]:
                return options["fault"] + " no"
            Handler.number += 1
            unfinished = folder / f"{Handler.number}.part"
            unfinished.write_bytes(b"".join(f"X-Envelope-To: {to}\r\n".encode() for to in envelope.rcpt_tos) +
                                   envelope.original_content)
            unfinished.rename(folder / f"{Handler.number}.eml")
            return "250 OK"

    def authenticate(_server, _session, _envelope, _mechanism, data):
        good = isinstance(data, LoginPassword) and [data.login.decode(), data.password.decode()] == list(login)
        return AuthResult(success=good, handled=False)

    def session():
        more = {"authenticator": authenticate, "auth_required": True,
                "auth_require_tls": options["tls"] == "starttls"} if login else {}
        starttls = {"tls_context": context} if options["tls"] == "starttls" else {}
        return SMTP(Handler(), hostname="mail.test", **more, **starttls)

    async def serve():
        server = await asyncio.get_running_loop().create_server(
            session, "127.0.0.1", options["port"], ssl=context if options["tls"] == "smtps" else None)
        print("ready", flush=True)
        await server.serve_forever()

    asyncio.run(serve())


if __name__ == "__main__":
    _serve()
