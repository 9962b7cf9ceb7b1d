"""Lints many files by pkilint in one process.

  lint.py --allowed FILE --kind certificate FILE...             PEM
  lint.py --allowed FILE --kind crl FILE...                     DER
  lint.py --allowed FILE --kind ocsp FILE...                    DER of responses
  lint.py --allowed FILE --kind issuer --cas PEM... -- FILE...  PEM, each beside the CA of its issuer's name

A finding of severity WARNING, ERROR or FATAL is printed and makes the exit code 1, unless a line of the allow-list
stands for it: CODE, a blank, a regular expression for all of the message, and on the lines above it, after '#', why.
Every line that was needed is printed as 'allowed: CODE REGEX (COUNT)'; the last line counts the files.
"""

import argparse
import collections
import pathlib
import re
import sys

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from pkilint import loader, pkix, validation
from pkilint.bin import lint_pkix_signer_signee_cert_chain as signer_signee
from pkilint.pkix import certificate, crl, extension, name, ocsp

THRESHOLD = validation.ValidationFindingSeverity.WARNING


def attribute_and_extension_decoders():
    return [
        pkix.create_attribute_decoder(name.ATTRIBUTE_TYPE_MAPPINGS),
        pkix.create_extension_decoder(extension.EXTENSION_MAPPINGS),
    ]


def certificate_linter(_options):
    validator = certificate.create_pkix_certificate_validator_container(
        certificate.create_decoding_validators(name.ATTRIBUTE_TYPE_MAPPINGS, extension.EXTENSION_MAPPINGS),
        [
            certificate.create_issuer_validator_container([]),
            certificate.create_validity_validator_container(),
            certificate.create_subject_validator_container([]),
            certificate.create_extensions_validator_container([]),
            certificate.create_spki_validator_container([]),
        ],
    )
    documents = loader.RFC5280CertificateDocumentLoader()
    return lambda path: validator.validate(documents.load_pem_document(path.read_text(), str(path)).root)


def crl_linter(_options):
    validator = crl.create_pkix_crl_validator_container(
        attribute_and_extension_decoders(),
        [
            crl.create_issuer_validator_container([]),
            crl.create_validity_validator_container([]),
            crl.create_extensions_validator_container([]),
        ],
    )
    documents = loader.RFC5280CertificateListDocumentLoader()
    return lambda path: validator.validate(documents.load_der_document(path.read_bytes(), str(path)).root)


def ocsp_linter(_options):
    validator = ocsp.create_pkix_ocsp_response_validator_container(
        [ocsp.create_response_decoder(), *attribute_and_extension_decoders()], []
    )
    documents = loader.RFC6960OCSPResponseDocumentLoader()
    return lambda path: validator.validate(documents.load_der_document(path.read_bytes(), str(path)).root)


def issuer_linter(options):
    decoding = signer_signee.create_decoder_validation_container()
    by_issuer = signer_signee.create_issuer_validation_container()
    by_subject = signer_signee.create_subject_validation_container()
    documents = loader.RFC5280CertificateDocumentLoader()
    cas = [x509.load_pem_x509_certificate(path.read_bytes()) for path in options.cas]

    def lint(path):
        subject = x509.load_pem_x509_certificate(path.read_bytes())
        issuer = signer_of(subject, [ca for ca in cas if ca.subject == subject.issuer])
        both = {}
        for role, found in (("issuer", issuer), ("subject", subject)):
            der = found.public_bytes(serialization.Encoding.DER)
            both[role] = documents.load_der_document(der, str(path), role, both)
        results = [*decoding.validate(both["issuer"].root), *decoding.validate(both["subject"].root)]
        return results + [*by_issuer.validate(both["issuer"].root), *by_subject.validate(both["subject"].root)]

    return lint


def signer_of(subject, cas):
    """A CA may have several certificates; the first stands for it when none fits, and the linter will say so."""
    for ca in cas:
        try:
            subject.verify_directly_issued_by(ca)
            return ca
        except InvalidSignature:
            continue
    return cas[0]


LINTERS = {"certificate": certificate_linter, "crl": crl_linter, "ocsp": ocsp_linter, "issuer": issuer_linter}


def read_allowed(path):
    lines = [line.rstrip() for line in pathlib.Path(path).read_text().splitlines()]
    return [tuple(line.split(maxsplit=1)) for line in lines if line and not line.startswith("#")]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--allowed", required=True)
    parser.add_argument("--kind", choices=LINTERS, required=True)
    parser.add_argument("--cas", nargs="+", type=pathlib.Path)
    parser.add_argument("files", nargs="+", type=pathlib.Path)
    options = parser.parse_args()
    allowed, lint = read_allowed(options.allowed), LINTERS[options.kind](options)
    needed, found = collections.Counter(), 0
    for path in options.files:
        for result in lint(path):
            for description in result.finding_descriptions:
                finding, message = description.finding, description.message or ""
                if finding.severity > THRESHOLD:
                    continue
                line = next((a for a in allowed if a[0] == finding.code and re.fullmatch(a[1], message)), None)
                if line:
                    needed[line] += 1
                    continue
                found += 1
                print(f"{path}: {finding.severity.name} {finding.code} at {result.node.path}: {message}")
    for line, count in needed.items():
        print("allowed:", *line, f"({count})")
    print(f"{len(options.files)} files, {found} findings")
    sys.exit(found > 0)


main()
