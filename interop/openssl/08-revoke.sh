# shellcheck shell=bash
# One certificate is revoked, and everyone who asks learns it at once. The others stay as they were.
. "$SUITE_DIR/lib.sh"

enrol BR100004 stolen
issuer=$(issuer_file stolen.pem)
url=$(ocsp_url stolen.pem)
serial=$(serial_of stolen.pem)

# Asked before, so that a cached answer would now be wrong.
ocsp before.txt -url "$url" -issuer "$issuer" -cert stolen.pem
openssl ocsp -issuer "$issuer" -cert stolen.pem -no_nonce -reqout stolen.request >/dev/null 2>&1
get_url=$url/$(base64 -w 0 stolen.request | sed 's/+/%2B/g; s|/|%2F|g; s/=/%3D/g')
http before "$get_url"
crl before.crl stolen.pem

vitae revoke "$serial" --reason key-compromise >revoke.txt
ocsp after.txt -url "$url" -issuer "$issuer" -cert stolen.pem
http after "$get_url"
crl after.crl stolen.pem
crl issuer.crl "$issuer"
# Each certificate names the list of one shard; two may name two.
crl device.crl device.pem
cat after.crl device.crl issuer.crl >both.crl

ocsp_at_once() {
    has before.txt '^stolen.pem: good$'
    has after.txt '^stolen.pem: revoked$'
    has after.txt 'Reason: keyCompromise$'
    has after.txt 'Revocation Time: '
    has after.txt 'Response verify OK'
    ocsp before-get.txt -respin before.body -issuer "$issuer" -cert stolen.pem -no_nonce
    has before-get.txt '^stolen.pem: good$'
    ocsp after-get.txt -respin after.body -issuer "$issuer" -cert stolen.pem -no_nonce
    has after-get.txt '^stolen.pem: revoked$'
    has after-get.txt 'Reason: keyCompromise$'
}

list_grows() {
    openssl crl -in before.crl -noout -text >before.crl.txt
    openssl crl -in after.crl -noout -text >after.crl.txt
    (($(crl_number after.crl) > $(crl_number before.crl)))
    lacks before.crl.txt "Serial Number: ${serial^^}"
    grep -A 5 "Serial Number: ${serial^^}" after.crl.txt | has /dev/stdin 'Key Compromise'
    text after.crl.verify openssl crl -in after.crl -noout -CAfile "$CHAIN" -verify
    has after.crl.verify '^verify OK'
}

path_by_list() {
    path stolen.txt stolen.pem -crl_check_all -CRLfile both.crl
    has stolen.txt 'certificate revoked'
    lacks stolen.txt '^stolen.pem: OK$'
    path device.txt device.pem -crl_check_all -CRLfile both.crl
    has device.txt '^device.pem: OK$'
}

path_by_download() {
    path stolen.txt stolen.pem -crl_check_all -crl_download
    has stolen.txt 'certificate revoked'
    lacks stolen.txt '^stolen.pem: OK$'
    path device.txt device.pem -crl_check_all -crl_download
    has device.txt '^device.pem: OK$'
}

# The CA for software updates, under which no device's certificate stands.
intermediate() {
    local ca=$VITAE_DIR/ca/update.pem root=$VITAE_DIR/ca/update-root.pem
    vitae revoke "$(serial_of "$ca")" --reason superseded
    crl root.crl "$ca"
    text update.txt openssl verify -trusted "$root" -crl_check -CRLfile root.crl "$ca"
    has update.txt 'certificate revoked'
    ocsp update-ocsp.txt -url "$(ocsp_url "$ca")" -issuer "$root" -CAfile "$root" -cert "$ca"
    has update-ocsp.txt 'update.pem: revoked$'
    has update-ocsp.txt 'Reason: superseded$'
    has update-ocsp.txt 'Response verify OK'
}

claim 37 ocsp_at_once
claim 38 list_grows
claim 39 path_by_list
claim 40 path_by_download
claim 41 intermediate
