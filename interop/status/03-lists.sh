# shellcheck shell=bash
# Every list that any certificate leads to, complete or delta, in the hands of five tools that have no code in common.
. "$SUITE_DIR/lib.sh"

# found/NAME: the lists of one distribution point, beside a certificate that leads to them and its issuer.
all_lists() {
    local file url
    rm -rf found
    mkdir found
    for file in all/*.pem "$VITAE_DIR"/ca/{birth,operational,service,update}.pem; do
        url=$(crl_url "$file")
        [[ -n $url ]] || continue
        # One folder for each.
        url=$(tr -c 'a-z0-9\n' - <<<"${url#http://*/}")
        [[ ! -e found/$url ]] || continue
        lists "$file" "found/$url"
        cp "$(issuer_file "$file")" "found/$url/issuer"
        cp "$file" "found/$url/subject"
    done
    (($(find found -name '*.crl' | wc -l) >= 4))
}

verified() {
    local list folder
    for list in found/*/*.pem; do
        folder=$(dirname "$list")
        openssl crl -in "$list" -noout -CAfile "$folder/issuer" -verify >verified.txt 2>&1
        has verified.txt '^verify OK$'
        certtool --verify-crl --load-ca-certificate "$folder/issuer" --infile "$list" >verified.txt
        has verified.txt 'Verified\. The certificate is trusted\.'
    done
}

# crlutil takes lists into a database of its own, and shows what it has; see WHOLE_LISTS_ONLY.
imported() {
    local list folder number
    for list in found/*/base-*.pem; do
        folder=$(dirname "$list")
        nss "$folder/subject"
        if partial "$list"; then
            text imported.txt crlutil -I -d sql:nss -t 1 -u "$(<"${list%.pem}.url")" -i "${list%.pem}.crl"
            has imported.txt 'SEC_ERROR_CRL_UNKNOWN_CRITICAL_EXTENSION'
            continue
        fi
        crlutil -I -d sql:nss -t 1 -u "$(<"${list%.pem}.url")" -i "${list%.pem}.crl" >imported.txt 2>&1
        crlutil -L -d sql:nss -n issuer >imported.txt
        number=$(openssl crl -in "$list" -noout -crlnumber | sed 's/^crlNumber=\(0x\)\?//')
        # It shows a large number as octets, in lower case with colons.
        number=$(sed 's/\(..\)/\1:/g; s/:$//' <<<"${number,,}")
        has imported.txt "^ *$number\$"
    done
}

# The readers of Python, Node and Java judge the subject that led to the list by it.
read_by_others() {
    local folder client
    for folder in found/*; do
        for client in python_lists pkijs_lists bouncycastle; do
            "$client" "$folder/subject" >read.txt
            has read.txt '^good'
        done
    done
}

scopes() {
    local list folder
    for list in found/*/*.pem; do
        folder=$(dirname "$list")
        openssl crl -in "$list" -noout -text >list.txt
        has list.txt 'Version 2'
        has list.txt 'Next Update: [A-Z]'
        has list.txt 'X509v3 CRL Number'
        has list.txt 'X509v3 Authority Key Identifier'
        # A list for some certificates only must say so, and with the very name that stands in them (C14).
        if grep -q 'X509v3 Issuing Distribution Point: critical' list.txt; then
            urls_in 'Issuing Distribution Point' cat list.txt >names.txt
            grep -qFx "$(crl_url "$folder/subject")" names.txt
        fi
        if [[ $list == */delta-* ]]; then
            has list.txt 'X509v3 Delta CRL Indicator: critical'
            lacks list.txt 'X509v3 Freshest CRL'
        fi
    done
}

claim 9 all_lists
claim 10 verified
claim 11 imported
claim 12 read_by_others
claim 13 scopes
