# shellcheck shell=bash
# The linter that has found nothing is shown what it must find.
. "$SUITE_DIR/lib.sh"

key flawed.key
openssl req -x509 -new -key flawed.key -subj /CN=flawed -days 1 -set_serial -1 -out flawed.pem \
    -config <(printf '[req]\ndistinguished_name=dn\n[dn]\n') -addext basicConstraints=CA:TRUE \
    -addext 'subjectAltName=URI:https:///no-host,DNS:local_host' 2>flawed.txt

flaws() {
    has flaws.txt 'flawed.pem: ERROR .*serial'
    has flaws.txt 'flawed.pem: ERROR .*basic_constraints'
    # What stands in the allow-list is not a licence for its kind.
    has flaws.txt 'pkix.invalid_uri_syntax .*no-host'
    has flaws.txt 'pkix.invalid_domain_name_syntax .*local_host'
}

must_fail 7 flaws lint flaws.txt certificate flawed.pem

# The name of a CA and the key of another.
key other.key
openssl req -x509 -new -key other.key -subj "$(subject_of "$VITAE_DIR/ca/operational.pem")" -days 1 -out other.pem

unsigned() {
    has unsigned.txt 'second.pem: ERROR pkix.signature_verification_failed'
    has unsigned.txt 'second.pem: ERROR pkix.issuer_and_subject_key_identifier_not_equal'
}

must_fail 8 unsigned lint unsigned.txt issuer --cas other.pem -- second.pem
