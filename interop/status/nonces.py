"""Which nonces come back: nonces.py URL CERT ISSUER prints 'SIZE:echoed', or the error, for sizes from 0 to 129."""

import os
import pathlib
import sys
import urllib.request

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

url, *paths = sys.argv[1:]
cert, issuer = (x509.load_pem_x509_certificate(pathlib.Path(path).read_bytes()) for path in paths)
for size in (1, 16, 32, 128, 0, 129):
    nonce = x509.OCSPNonce(os.urandom(size))
    question = ocsp.OCSPRequestBuilder().add_certificate(cert, issuer, hashes.SHA1()).add_extension(nonce, False)
    headers = {"Content-Type": "application/ocsp-request"}
    request = urllib.request.Request(url, question.build().public_bytes(Encoding.DER), headers)
    with urllib.request.urlopen(request, timeout=30) as response:
        answer = ocsp.load_der_ocsp_response(response.read())
    if answer.response_status != ocsp.OCSPResponseStatus.SUCCESSFUL:
        print(f"{size}:{answer.response_status.name}")
    elif answer.extensions.get_extension_for_class(x509.OCSPNonce).value == nonce:
        print(f"{size}:echoed")
    else:
        print(f"{size}:changed")
