# shellcheck shell=bash
# A birth certificate that looks right in every field, under a key that is not the factory's.
. "$SUITE_DIR/lib.sh"

born BR600099 real

enrol_by() {
    est enrol "$2" "$3" --label ldev --serial BR600099 --cert "$1.pem" --certkey "$1.key"
    of_key "$3.pem" "$3.key"
}

enrol_by real 1.3 own

ca=$VITAE_DIR/ca/birth.pem
key forged-ca.key
openssl req -x509 -new -key forged-ca.key -subj "$(subject_of "$ca")" -days 10 -out forged-ca.pem
key forged.key
csr_like real.pem forged.key forged.csr
openssl x509 -req -inform DER -in forged.csr -CA forged-ca.pem -CAkey forged-ca.key -set_serial "0x$(serial_of real.pem)" \
    -days 5 -copy_extensions copyall -out forged.pem 2>forged.txt
equal "$(subject_of forged.pem)" "$(subject_of real.pem)"
equal "$(alt_names_der forged.pem)" "$(alt_names_der real.pem)"

not_ours() {
    # Ended by an alert, or by an answer that names the certificate.
    has "$out.txt" '_ALERT_(UNKNOWN_CA|BAD_CERTIFICATE|CERTIFICATE_UNKNOWN|ACCESS_DENIED)|^HTTP 40[13]: .*certificate'
    [[ ! -e $out.pem ]]
}

out=forged-1.2
must_fail 13 not_ours enrol_by forged 1.2 "$out"
out=forged-1.3
must_fail 14 not_ours enrol_by forged 1.3 "$out"

