# shellcheck shell=bash
# First certificates.
. "$SUITE_DIR/lib.sh"

# by_token SERIAL OUT VERSION
by_token() {
    device "$1" >"$2.id"
    est enrol "$3" "$2" subject="SERIALNUMBER=$1" user="$(<"$2.id")" password="$(token "$(<"$2.id")")"
    of_key "$2.pem" "$2.key"
    owned "$2.pem" "$(<"$2.id")"
}

# by_birth SERIAL OUT VERSION
by_birth() {
    born "$1" "birth-$2"
    est enrol "$3" "$2" label=ldev subject="SERIALNUMBER=$1" cert="birth-$2.pem" certkey="birth-$2.key"
    of_key "$2.pem" "$2.key"
    owned "$2.pem" "$(<"birth-$2.id")"
}

# The factory's step too: label idev, by token.
birth_by_token() {
    device BR400005 manufacturing >made.id
    est enrol 1.3 made label=idev subject='SERIALNUMBER=BR400005' user="$(<made.id)" password="$(token "$(<made.id)" idev)"
    of_key made.pem made.key
    openssl x509 -in made.pem -noout -subject -nameopt RFC2253,esc_msb >made.subject
    has made.subject '^subject=CN=P3-BR400005,O=brannoc,serialNumber=BR400005$'
}

verified() {
    local name
    for name in token birth; do
        client verify cert="$name.pem" ca="$VITAE_DIR/ca/operational.pem" root="$ROOT" out="$name-verify.pem"
        has "$name-verify.txt" '^BC verified: CN=Vitae Root CA'
        has "$name-verify.txt" '^SUN verified: CN=Vitae Root CA'
    done
}

wrong_token() {
    device BR400006 >wrong.id
    fails est enrol 1.3 wrong subject='SERIALNUMBER=BR400006' user="$(<wrong.id)" password=vt_wrong
    refused_by_est wrong 401 token
    none_issued "$(<wrong.id)"
}

claim 5 by_token BR400001 token-old 1.2
claim 6 by_token BR400002 token 1.3
claim 7 by_birth BR400003 birth-old 1.2
claim 8 by_birth BR400004 birth 1.3
claim 9 birth_by_token
claim 10 verified
claim 11 wrong_token
