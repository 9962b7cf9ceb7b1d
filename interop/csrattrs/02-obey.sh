# shellcheck shell=bash
# A client that knows nothing but the answer and its plate.
. "$SUITE_DIR/lib.sh"

obeys() {
    wishes ldev
    enrol_by_list BR270002 "$(sed -n 's/.*d=3 .*:\(prime256v1\)$/\1/p' ldev.txt | head -n 1)"
    openssl x509 -in obeying.pem -noout -subject >subject.txt
    has subject.txt 'BR270002'
}

claim 4 obeys
