# shellcheck shell=bash
# Names come from the record. A request may repeat them and add nothing.
. "$SUITE_DIR/../lib.sh"

device BR200301 >first.id
key first.key
uri=URI:urn:dev:ops:32473-P3-BR200301

# first_refused CSR-ARGUMENTS...: the token is not spent by a refusal, so one does for all.
token "$(<first.id)" >first.token
first_refused() {
    csr first.key first.csr "$@"
    est_post first simpleenroll first.csr -u "$(<first.id):$(<first.token)"
    refused first 403 'BR|SUH|admin|subject'
}

foreign_subject() {
    first_refused -subj /serialNumber=BR200302
    first_refused -subj /CN=BR200302
    first_refused -subj /CN=brannoc.P3.BR200302
    first_refused -subj /serialNumber=BR200301/CN=admin
    first_refused -subj /O=brannoc/OU=SUH/CN=BR200301
    first_refused -subj /CN=BR200301/CN=BR200302
}

foreign_alt_name() {
    local name
    for name in URI:urn:dev:ops:32473-P3-BR200302 DNS:est.example IP:192.0.2.1 email:root@example.com RID:1.2.3.4 \
        'otherName:1.3.6.1.4.1.311.20.2.3;UTF8:admin@example.com'; do
        first_refused -subj / -addext "subjectAltName=$uri,$name"
    done
    # The device's own name alone is no offence: the refusals above were for the other ones.
    csr first.key first.csr -addext "subjectAltName=$uri"
    est_post first simpleenroll first.csr -u "$(<first.id):$(<first.token)"
    issued first first.key
}

claim 28 foreign_subject
claim 29 foreign_alt_name

enrol BR200303 unit
subject=$(subject_of unit.pem)
names=$(alt_names_of unit.pem)

renewal_refused() {
    csr unit.key renew.csr "$@"
    est_post renew simplereenroll renew.csr --cert unit.pem --key unit.key
    refused renew 403 'subject'
}

other_subject() {
    renewal_refused -subj / -addext "subjectAltName=$names"
    renewal_refused -subj /serialNumber=BR200303 -addext "subjectAltName=$names"
    renewal_refused -subj "$subject/OU=SUH" -addext "subjectAltName=$names"
    renewal_refused -subj "${subject/BR200303/BR200301}" -addext "subjectAltName=$names"
}

other_alt_names() {
    renewal_refused -subj "$subject"
    renewal_refused -subj "$subject" -addext "subjectAltName=$names,DNS:est.example"
    renewal_refused -subj "$subject" -addext "subjectAltName=DNS:est.example"
    renewal_refused -subj "$subject" -addext "subjectAltName=URI:urn:dev:ops:32473-P3-BR200301"
    csr_like unit.pem unit.key renew.csr
    est_post renew simplereenroll renew.csr --cert unit.pem --key unit.key
    issued renew unit.key
}

claim 30 other_subject
claim 31 other_alt_names
