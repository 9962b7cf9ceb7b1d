"""What PyPI's cryptography says of a certificate.

  status.py ocsp CERT ISSUER             asks the responder that the certificate names: SHA-256, with a nonce
  status.py several ISSUER CERT CERT...  the same about several certificates, in an answer on standard input
  status.py crl CERT ISSUER LIST...      looks it up in lists, complete ones and deltas, in DER

Prints 'good', 'unknown' or 'revoked REASON'. What is not signed, not current or about something else ends it.
"""

import datetime
import os
import pathlib
import sys
import urllib.request

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID


def certificate(path):
    return x509.load_pem_x509_certificate(pathlib.Path(path).read_bytes())


def extension(owner, kind):
    try:
        return owner.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def current(begin, end):
    assert end is not None and begin <= datetime.datetime.now(datetime.timezone.utc) < end, f"not now: {begin} to {end}"


def say(status, reason):
    print(status, reason.value if status == "revoked" and reason else "")


def signed_by_delegate(answer, issuer):
    """The signer's certificate comes with the answer; the CA vouches for it, and for this purpose (O21, O22)."""
    assert answer.response_status == ocsp.OCSPResponseStatus.SUCCESSFUL, answer.response_status
    signer = answer.certificates[0]
    signer.verify_directly_issued_by(issuer)
    assert ExtendedKeyUsageOID.OCSP_SIGNING in extension(signer, x509.ExtendedKeyUsage)
    assert x509.SubjectKeyIdentifier.from_public_key(signer.public_key()).digest == answer.responder_key_hash
    signer.public_key().verify(
        answer.signature, answer.tbs_response_bytes, ec.ECDSA(answer.signature_hash_algorithm)
    )


def by_ocsp(cert, issuer):
    cert, issuer = certificate(cert), certificate(issuer)
    access = extension(cert, x509.AuthorityInformationAccess)
    url = next(a.access_location.value for a in access if a.access_method == AuthorityInformationAccessOID.OCSP)
    nonce = x509.OCSPNonce(os.urandom(32))
    question = ocsp.OCSPRequestBuilder().add_certificate(cert, issuer, hashes.SHA256()).add_extension(nonce, False)
    question = question.build()
    headers = {"Content-Type": "application/ocsp-request"}
    request = urllib.request.Request(url, question.public_bytes(Encoding.DER), headers)
    with urllib.request.urlopen(request, timeout=30) as response:
        answer = ocsp.load_der_ocsp_response(response.read())
    signed_by_delegate(answer, issuer)
    assert extension(answer, x509.OCSPNonce) == nonce, "another nonce (O16)"
    for field in ("serial_number", "issuer_name_hash", "issuer_key_hash"):
        assert getattr(answer, field) == getattr(question, field), f"another {field} (O08)"
    current(answer.this_update_utc, answer.next_update_utc)
    say(answer.certificate_status.name.lower(), answer.revocation_reason)


def several(issuer, *certs):
    answer = ocsp.load_der_ocsp_response(sys.stdin.buffer.read())
    signed_by_delegate(answer, certificate(issuer))
    singles = list(answer.responses)
    assert len(singles) == len(certs), f"{len(singles)} answers to {len(certs)} questions (O08)"
    for cert, single in zip(certs, singles):
        assert single.serial_number == certificate(cert).serial_number
        current(single.this_update_utc, single.next_update_utc)
        say(single.certificate_status.name.lower(), single.revocation_reason)


def by_crl(cert, issuer, *paths):
    cert, issuer = certificate(cert), certificate(issuer)
    points = extension(cert, x509.CRLDistributionPoints)
    names = {name.value for point in points for name in point.full_name}
    complete, deltas = {}, []
    for path in paths:
        crl = x509.load_der_x509_crl(pathlib.Path(path).read_bytes())
        assert crl.issuer == issuer.subject and crl.is_signature_valid(issuer.public_key()), "of another CA"
        current(crl.last_update_utc, crl.next_update_utc)
        scope = extension(crl, x509.IssuingDistributionPoint)
        if scope and scope.full_name:
            assert names & {name.value for name in scope.full_name}, "a list of other certificates (C14)"
        if extension(crl, x509.DeltaCRLIndicator):
            deltas.append((scope, crl))
        else:
            complete[scope] = crl
    assert complete, "no complete list"
    entries = [crl.get_revoked_certificate_by_serial_number(cert.serial_number) for crl in complete.values()]
    entry = next(filter(None, entries), None)
    for scope, delta in deltas:
        # A delta continues lists of its own scope, not older than the one it names (RFC 5280 section 5.2.4).
        base = extension(complete[scope], x509.CRLNumber).crl_number
        assert extension(delta, x509.DeltaCRLIndicator).crl_number <= base, "a delta of a later list (C07)"
        if base <= extension(delta, x509.CRLNumber).crl_number:
            entry = delta.get_revoked_certificate_by_serial_number(cert.serial_number) or entry
    reason = entry and extension(entry, x509.CRLReason)
    reason = reason and reason.reason
    say("revoked" if entry and reason != x509.ReasonFlags.remove_from_crl else "good", reason)


def main():
    command, *rest = sys.argv[1:]
    {"ocsp": by_ocsp, "several": several, "crl": by_crl}[command](*rest)


main()
