"""Certificates made with openssl for one test: an authority, a server's for 127.0.0.1, and a caller's."""

import subprocess


def make(folder):
    """Writes ca.pem, server.pem, server.key, client.pem, client.key."""
    _openssl(folder, "req", "-x509", *NEW, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test authority", "-days", "2")
    for name in ("server", "client"):
        _openssl(folder, "req", *NEW, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
        authority = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial")
        _openssl(folder, "x509", "-req", "-in", f"{name}.csr", *authority, "-out", f"{name}.pem", "-days", "2", "-extfile", "names")


NEW = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def _openssl(folder, *words):
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)
