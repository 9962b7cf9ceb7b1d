# shellcheck shell=bash
# A first enrolment with nothing but openssl. Later steps use its certificate: device.pem.
. "$SUITE_DIR/lib.sh"

device BR100001 >device.id
key device.key
openssl req -new -key device.key -subj '/serialNumber=BR100001' -outform DER -out device.csr

by_token() {
    openssl req -inform DER -in device.csr -noout -text -verify >device.csr.txt 2>&1
    has device.csr.txt 'NIST CURVE: P-256'
    has device.csr.txt 'verify OK'
    post device simpleenroll device.csr "$(basic "$(<device.id)" "$(token "$(<device.id)")")"
    status_is device 200
    has device.head $'^Content-Type: application/pkcs7-mime; smime-type=certs-only\r$'
}

one_certificate() {
    issued device device.key
    certs_only device.p7
}

verifies() {
    path client.txt device.pem -x509_strict -purpose sslclient
    has client.txt '^device.pem: OK$'
    path policy.txt device.pem -x509_strict -policy 1.3.6.1.4.1.32473.2.2 -explicit_policy
    has policy.txt '^device.pem: OK$'
    path server.txt device.pem -x509_strict -purpose sslserver
    has server.txt 'unsuitable certificate purpose'
    lacks server.txt '^device.pem: OK$'
}

by_profile() {
    openssl x509 -in device.pem -noout -subject -nameopt RFC2253,esc_msb >device.subject
    # RFC 2253 prints from the last attribute to the first.
    has device.subject '^subject=CN=[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12},serialNumber=BR100001$'
    equal "$(alt_names_of device.pem)" 'URI:urn:dev:ops:32473-P3-BR100001'
    openssl x509 -in device.pem -noout -text >device.txt
    has device.txt 'Version: 3'
    grep -A 1 'X509v3 Key Usage: critical' device.txt | has /dev/stdin '^ *Digital Signature$'
    grep -A 1 'X509v3 Extended Key Usage' device.txt | has /dev/stdin '^ *TLS Web Client Authentication$'
    has device.txt 'Policy: 1.3.6.1.4.1.32473.2.2'
    lacks device.txt 'CA:TRUE'
}

# Whether the request is refused or its wishes are ignored: no such certificate may exist.
greedy_request() {
    device BR100002 >greedy.id
    key greedy.key
    csr greedy.key greedy.csr -addext 'basicConstraints=critical,CA:TRUE' -addext 'keyUsage=critical,keyCertSign,cRLSign' \
        -addext 'extendedKeyUsage=clientAuth,serverAuth,OCSPSigning' -addext 'crlDistributionPoints=URI:http://192.0.2.1/x.crl' \
        -addext 'authorityInfoAccess=OCSP;URI:http://192.0.2.1/ocsp' -addext 'nameConstraints=permitted;DNS:example'
    post greedy simpleenroll greedy.csr "$(basic "$(<greedy.id)" "$(token "$(<greedy.id)")")"
    if [[ $(<greedy.status) == 200 ]]; then
        issued greedy greedy.key
        openssl x509 -in greedy.pem -noout -text >greedy.txt
        has greedy.txt 'TLS Web Client Authentication$'
        lacks greedy.txt 'CA:TRUE|Certificate Sign|CRL Sign|Server Authentication|OCSP Signing|192\.0\.2\.1|Name Constraints'
    else
        has greedy.status '^4..$'
        refused greedy "$(<greedy.status)" .
    fi
}

claim 17 by_token
claim 18 one_certificate
claim 19 verifies
claim 20 by_profile
claim 21 greedy_request
