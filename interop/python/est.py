"""An EST client of the standard library's http.client and ssl, and of PyPI's cryptography; one request a run.

  est.py cacerts --server HOST:PORT --trust PEM --tls 1.3 --out PEM [--label LABEL]
  est.py enrol   ... --key PEM --serial TEXT [--user ID --password TOKEN] [--cert PEM --certkey PEM]
  est.py renew   ... --key PEM --cert PEM --certkey PEM [--like PEM]    names of --like, or of the certificate shown
  est.py verify  --cert PEM --cas PEM --root PEM [--status URL]         path, and OCSP when there is a URL

Keys that are to be enrolled are made anew. A refusal is printed as 'HTTP STATUS: TEXT', exit code 1.
"""

import argparse
import base64
import datetime
import http.client
import pathlib
import ssl
import sys
import urllib.request

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509 import ocsp, verification
from cryptography.x509.oid import NameOID

PEM = serialization.Encoding.PEM
VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


def certificate(path):
    return x509.load_pem_x509_certificate(pathlib.Path(path).read_bytes())


def connect(options):
    context = ssl.create_default_context(cafile=options.trust)
    context.minimum_version = context.maximum_version = VERSIONS[options.tls]
    if options.cert:
        context.load_cert_chain(options.cert, options.certkey)
    return http.client.HTTPSConnection(options.server, timeout=30, context=context)


def ask(options, method, operation, body=None, headers=None):
    """The DER in the answer, or the end of the program."""
    connection = connect(options)
    label = f"{options.label}/" if options.label else ""
    connection.request(method, f"/.well-known/est/{label}{operation}", body, headers or {})
    print("TLS:", connection.sock.version())
    response = connection.getresponse()
    answer = response.read()
    if response.status != 200:
        print(f"HTTP {response.status}: {answer.decode()}")
        sys.exit(1)
    assert response.getheader("Content-Type").split(";")[0] == "application/pkcs7-mime"
    return base64.b64decode(answer, validate=True)


def store(options, der):
    with open(options.out, "wb") as out:
        for found in pkcs7.load_der_pkcs7_certificates(der):
            out.write(found.public_bytes(PEM))


def cacerts(options):
    store(options, ask(options, "GET", "cacerts"))


def enrol(options):
    subject = x509.Name([x509.NameAttribute(NameOID.SERIAL_NUMBER, options.serial)])
    post(options, "simpleenroll", x509.CertificateSigningRequestBuilder().subject_name(subject))


def renew(options):
    old = certificate(options.like or options.cert)
    names = old.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    request = x509.CertificateSigningRequestBuilder().subject_name(old.subject)
    post(options, "simplereenroll", request.add_extension(names.value, names.critical))


def post(options, operation, request):
    key = ec.generate_private_key(ec.SECP256R1())
    pathlib.Path(options.key).write_bytes(
        key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    body = base64.b64encode(request.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER))
    headers = {"Content-Type": "application/pkcs10"}
    if options.password:
        pair = f"{options.user}:{options.password}".encode()
        headers["Authorization"] = "Basic " + base64.b64encode(pair).decode()
    store(options, ask(options, "POST", operation, body, headers))
    issued = certificate(options.out)
    assert issued.public_key() == key.public_key(), "a certificate of another key"


def verify(options):
    """As a TLS server would that lets devices in."""
    store = verification.Store([certificate(options.root)])
    cas = x509.load_pem_x509_certificates(pathlib.Path(options.cas).read_bytes())
    leaf = certificate(options.cert)
    verified = verification.PolicyBuilder().store(store).build_client_verifier().verify(leaf, cas)
    print("verified:", *(name.value for name in verified.subjects))
    if options.status:
        issuer = verified.chain[1]
        question = ocsp.OCSPRequestBuilder().add_certificate(leaf, issuer, hashes.SHA256()).build()
        request = urllib.request.Request(
            options.status,
            question.public_bytes(serialization.Encoding.DER),
            {"Content-Type": "application/ocsp-request"},
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            answer = ocsp.load_der_ocsp_response(response.read())
        # The responder's certificate comes with the answer; the CA vouches for it.
        responder = answer.certificates[0]
        responder.verify_directly_issued_by(issuer)
        assert x509.ExtendedKeyUsageOID.OCSP_SIGNING in responder.extensions.get_extension_for_class(
            x509.ExtendedKeyUsage
        ).value
        responder.public_key().verify(
            answer.signature, answer.tbs_response_bytes, ec.ECDSA(answer.signature_hash_algorithm)
        )
        now = datetime.datetime.now(datetime.timezone.utc)
        assert answer.this_update_utc <= now < answer.next_update_utc
        print("status:", answer.certificate_status.name, answer.revocation_reason or "")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["cacerts", "enrol", "renew", "verify"])
    for name in ("server trust tls out label key serial user password cert certkey like cas root status").split():
        parser.add_argument(f"--{name}")
    options = parser.parse_args()
    {"cacerts": cacerts, "enrol": enrol, "renew": renew, "verify": verify}[options.command](options)


main()
