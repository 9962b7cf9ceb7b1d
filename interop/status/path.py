"""What pyhanko-certvalidator says of a certificate when it validates its path.

  path.py ocsp CERT ISSUER ROOT          by OCSP alone, which it fetches by itself
  path.py crl CERT ISSUER ROOT LIST...   by these lists alone, complete ones and deltas, in DER

Prints 'good' or 'revoked REASON'; whatever else is wrong with the path ends it.
"""

import asyncio
import datetime
import pathlib
import sys

from asn1crypto import crl, pem, x509
from pyhanko_certvalidator import CertificateValidator, ValidationContext
from pyhanko_certvalidator.errors import RevokedError
from pyhanko_certvalidator.policy_decl import CertRevTrustPolicy, RevocationCheckingPolicy, RevocationCheckingRule

RULES = {"ocsp": RevocationCheckingRule.OCSP_REQUIRED, "crl": RevocationCheckingRule.CRL_REQUIRED}


def certificate(path):
    return x509.Certificate.load(pem.unarmor(pathlib.Path(path).read_bytes())[2])


def main():
    method, cert, issuer, root, *lists = sys.argv[1:]
    policy = RevocationCheckingPolicy(
        ee_certificate_rule=RULES[method], intermediate_ca_cert_rule=RevocationCheckingRule.NO_CHECK
    )
    context = ValidationContext(
        trust_roots=[certificate(root)],
        other_certs=[certificate(issuer)],
        allow_fetching=method == "ocsp",
        crls=[crl.CertificateList.load(pathlib.Path(path).read_bytes()) for path in lists],
        revinfo_policy=CertRevTrustPolicy(policy),
        # It looks at its clock first and asks then, and an answer is as young as its second.
        time_tolerance=datetime.timedelta(minutes=1),
    )
    validator = CertificateValidator(certificate(cert), validation_context=context)
    try:
        asyncio.run(validator.async_validate_usage({"digital_signature"}, {"client_auth"}))
    except RevokedError as error:
        # 'key_compromise' is what asn1crypto calls keyCompromise.
        first, *rest = (error.reason.native if error.reason else "unspecified").split("_")
        print("revoked", first + "".join(word.capitalize() for word in rest))
    else:
        print("good")


main()
