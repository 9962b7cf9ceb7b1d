# shellcheck shell=bash
# Lists of revoked certificates, by the URLs that the certificates themselves hold.
. "$SUITE_DIR/lib.sh"

issuer=$(issuer_file device.pem)
crl device.crl device.pem
crl issuer.crl "$issuer"
cat device.crl issuer.crl >both.crl

fetched() {
    equal "$(header device.crl Content-Type)" application/pkix-crl
    equal "$(header device.crl Content-Length)" "$(wc -c <device.crl.body)"
    # One DER structure and nothing behind it.
    openssl crl -in device.crl -outform DER -out device.again
    cmp device.again device.crl.body
    text verify.txt openssl crl -in device.crl -noout -CAfile "$CHAIN" -verify
    has verify.txt '^verify OK'
}

contents() {
    openssl crl -in device.crl -noout -text >device.crl.txt
    has device.crl.txt 'Version 2'
    has device.crl.txt 'Next Update: '
    has device.crl.txt 'X509v3 Authority Key Identifier'
    has device.crl.txt 'X509v3 CRL Number'
    (($(crl_number device.crl) >= 1))
    lacks device.crl.txt "Serial Number: $(serial_of device.pem | tr a-f A-F)"
}

checked() {
    path all.txt device.pem -crl_check_all -CRLfile both.crl
    has all.txt '^device.pem: OK$'
}

# -crl_check_all wants a list for the root too, so the root must say where it is.
downloaded() {
    path download.txt device.pem -crl_check_all -crl_download
    has download.txt '^device.pem: OK$'
    path none.txt device.pem -crl_check
    has none.txt 'unable to get certificate CRL'
}

claim 33 fetched
claim 34 contents
claim 35 checked
claim 36 downloaded
