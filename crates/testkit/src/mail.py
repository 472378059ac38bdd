# A mail server of a test: aiosmtpd, which keeps every letter it takes as a file, and refuses whom the test shall see refused.
# Arguments: port, folder, then words: `starttls`, `smtps`, `required` (nothing without TLS), `login=USER:PASSWORD`.
import asyncio
import email
import email.policy
import json
import os
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

port, folder, words = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
login = next((word[len("login="):].split(":", 1) for word in words if word.startswith("login=")), None)
os.makedirs(f"{folder}/letters", exist_ok=True)
count = len(os.listdir(f"{folder}/letters"))


def tls():
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(f"{folder}/cert.pem", f"{folder}/key.pem")
    return context


def authenticate(server, session, envelope, mechanism, data):
    given = [data.login.decode(), data.password.decode()]
    if given != login:
        return AuthResult(success=False, handled=False)
    session.mechanism = mechanism
    return AuthResult(success=True, auth_data=given[0])


def text_of(message, kind):
    part = message.get_body((kind,))
    return part and part.get_content()


class Keep:
    async def handle_RCPT(self, server, session, envelope, address, options):
        user = address.split("@")[0]
        if user == "nobody":
            return f"550 5.1.1 <{address}>: Recipient address rejected: User {user} unknown, ask postmaster@mail.example"
        if user == "later":
            return f"451 4.7.1 <{address}>: Greylisted, {user} should come again"
        if user == "hangs":
            await asyncio.sleep(3600)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        global count
        raw = envelope.original_content
        message = email.message_from_bytes(raw, policy=email.policy.default)
        letter = {
            "connection": session.peer[1],
            "tls": server.transport.get_extra_info("ssl_object") is not None,
            "user": session.auth_data if session.authenticated else None,
            "mechanism": getattr(session, "mechanism", None),
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "headers": [[name, str(value)] for name, value in message.items()],
            "text": text_of(message, "plain"),
            "html": text_of(message, "html"),
            "defects": [repr(defect) for part in message.walk() for defect in part.defects],
            "raw": raw.decode("ascii", "backslashreplace"),
        }
        path = f"{folder}/letters/{count:06}"
        count += 1
        with open(path + ".part", "w") as file:
            json.dump(letter, file)
        os.rename(path + ".part", path)
        return "250 OK"


async def main():
    options = {
        "hostname": "mail.example",
        "enable_SMTPUTF8": "utf8" in words,
        "tls_context": tls() if "starttls" in words else None,
        "require_starttls": "required" in words,
        "auth_required": login is not None,
        "auth_require_tls": False,
        "authenticator": authenticate if login else None,
    }
    for word in words:
        if word.startswith("without="):
            options["auth_exclude_mechanism"] = [word[len("without="):]]
    make = lambda: SMTP(Keep(), loop=asyncio.get_running_loop(), **options)
    server = await asyncio.get_running_loop().create_server(
        make, "127.0.0.1", port, ssl=tls() if "smtps" in words else None)
    async with server:
        await server.serve_forever()


asyncio.run(main())
