import java.io.FileReader;
import java.io.FileWriter;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.Security;
import java.security.cert.CertPathValidator;
import java.security.cert.CertificateFactory;
import java.security.cert.PKIXCertPathValidatorResult;
import java.security.cert.PKIXParameters;
import java.security.cert.PKIXRevocationChecker;
import java.security.cert.TrustAnchor;
import java.security.cert.X509Certificate;
import java.security.spec.ECGenParameterSpec;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLSession;
import org.bouncycastle.asn1.pkcs.PKCSObjectIdentifiers;
import org.bouncycastle.asn1.pkcs.PrivateKeyInfo;
import org.bouncycastle.asn1.x500.X500Name;
import org.bouncycastle.asn1.x509.Extension;
import org.bouncycastle.asn1.x509.Extensions;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cert.jcajce.JcaX509CertificateConverter;
import org.bouncycastle.est.CACertsResponse;
import org.bouncycastle.est.ESTAuth;
import org.bouncycastle.est.ESTException;
import org.bouncycastle.est.ESTService;
import org.bouncycastle.est.EnrollmentResponse;
import org.bouncycastle.est.jcajce.JcaHttpAuthBuilder;
import org.bouncycastle.est.jcajce.JcaJceUtils;
import org.bouncycastle.est.jcajce.JsseDefaultHostnameAuthorizer;
import org.bouncycastle.est.jcajce.JsseESTServiceBuilder;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.jsse.provider.BouncyCastleJsseProvider;
import org.bouncycastle.openssl.PEMParser;
import org.bouncycastle.openssl.PEMKeyPair;
import org.bouncycastle.openssl.jcajce.JcaPEMKeyConverter;
import org.bouncycastle.openssl.jcajce.JcaPEMWriter;
import org.bouncycastle.openssl.jcajce.JcaPKCS8Generator;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;
import org.bouncycastle.pkcs.PKCS10CertificationRequest;
import org.bouncycastle.pkcs.PKCS10CertificationRequestBuilder;
import org.bouncycastle.pkcs.jcajce.JcaPKCS10CertificationRequestBuilder;

/**
 * The EST client of Bouncy Castle over its own TLS, one request a run.
 *
 * <pre>
 * Est cacerts server=HOST:PORT trust=PEM tls=TLSv1.3 out=PEM
 * Est enrol   ... key=PEM out=PEM subject=DN [label=LABEL] [user=NAME password=TEXT] [cert=PEM certkey=PEM]
 * Est renew   ... key=PEM out=PEM cert=PEM certkey=PEM [like=PEM]   names of 'like', or of the certificate shown
 * Est verify  cert=PEM ca=PEM root=PEM                              path and OCSP, by Bouncy Castle and by the JDK
 * </pre>
 *
 * Keys that are to be enrolled are made anew. A refusal is printed as 'HTTP STATUS: TEXT', exit code 1.
 */
public final class Est {
    private static final Map<String, String> OPTIONS = new HashMap<>();

    public static void main(String[] arguments) throws Exception {
        Security.addProvider(new BouncyCastleProvider());
        Security.addProvider(new BouncyCastleJsseProvider());
        // Bouncy Castle asks OCSP only when this is set.
        Security.setProperty("ocsp.enable", "true");
        for (String argument : List.of(arguments).subList(1, arguments.length)) {
            int equals = argument.indexOf('=');
            OPTIONS.put(argument.substring(0, equals), argument.substring(equals + 1));
        }
        try {
            switch (arguments[0]) {
                case "cacerts" -> cacerts();
                case "enrol" -> enrol(false);
                case "renew" -> enrol(true);
                case "verify" -> verify();
                default -> throw new IllegalArgumentException(arguments[0]);
            }
        } catch (ESTException refused) {
            InputStream body = refused.getBody();
            String text = body == null ? "" : new String(body.readAllBytes(), StandardCharsets.UTF_8);
            System.out.println("HTTP " + refused.getStatusCode() + ": " + text);
            refused.printStackTrace();
            System.exit(1);
        }
    }

    private static String option(String name) {
        String value = OPTIONS.get(name);
        if (value == null) {
            throw new IllegalArgumentException(name + "= is missing");
        }
        return value;
    }

    private static ESTService service() throws Exception {
        Set<TrustAnchor> anchors = Set.of(new TrustAnchor(certificate(option("trust")), null));
        JsseESTServiceBuilder builder =
            new JsseESTServiceBuilder(option("server"), JcaJceUtils.getCertPathTrustManager(anchors, null));
        builder.withProvider(BouncyCastleJsseProvider.PROVIDER_NAME);
        builder.withTLSVersion(option("tls"));
        builder.withHostNameAuthorizer(new JsseDefaultHostnameAuthorizer(Set.of()));
        builder.withTimeout(30_000);
        if (OPTIONS.containsKey("label")) {
            builder.withLabel(option("label"));
        }
        if (OPTIONS.containsKey("cert")) {
            KeyStore store = KeyStore.getInstance("PKCS12");
            store.load(null, null);
            X509Certificate[] chain = {certificate(option("cert"))};
            store.setKeyEntry("device", privateKey(option("certkey")), new char[0], chain);
            String jsse = BouncyCastleJsseProvider.PROVIDER_NAME;
            KeyManagerFactory factory = JcaJceUtils.createKeyManagerFactory("PKIX", jsse, store, new char[0]);
            builder.withKeyManagers(factory.getKeyManagers());
        }
        return builder.build();
    }

    private static void cacerts() throws Exception {
        CACertsResponse response = service().getCACerts();
        session(response.getSession());
        System.out.println("trusted: " + response.isTrusted());
        write(option("out"), response.getCertificateStore().getMatches(null));
    }

    private static void enrol(boolean renewal) throws Exception {
        KeyPairGenerator generator = KeyPairGenerator.getInstance("EC", "BC");
        generator.initialize(new ECGenParameterSpec("P-256"));
        KeyPair pair = generator.generateKeyPair();
        try (JcaPEMWriter writer = new JcaPEMWriter(new FileWriter(option("key")))) {
            writer.writeObject(new JcaPKCS8Generator(pair.getPrivate(), null));
        }
        EnrollmentResponse response = service().simpleEnroll(renewal, request(renewal, pair), credentials());
        session(response.getSession());
        System.out.println("completed: " + response.isCompleted());
        write(option("out"), response.getStore().getMatches(null));
    }

    private static PKCS10CertificationRequest request(boolean renewal, KeyPair pair) throws Exception {
        PKCS10CertificationRequestBuilder builder;
        if (renewal) {
            String like = OPTIONS.getOrDefault("like", option("cert"));
            X509CertificateHolder old = new X509CertificateHolder(certificate(like).getEncoded());
            builder = new JcaPKCS10CertificationRequestBuilder(old.getSubject(), pair.getPublic());
            Extension names = old.getExtension(Extension.subjectAlternativeName);
            builder.addAttribute(PKCSObjectIdentifiers.pkcs_9_at_extensionRequest, new Extensions(names));
        } else {
            builder = new JcaPKCS10CertificationRequestBuilder(new X500Name(option("subject")), pair.getPublic());
        }
        return builder.build(new JcaContentSignerBuilder("SHA256withECDSA").setProvider("BC").build(pair.getPrivate()));
    }

    /** Sent only when the server has asked for it by a 401. */
    private static ESTAuth credentials() throws Exception {
        if (!OPTIONS.containsKey("password")) {
            return null;
        }
        return new JcaHttpAuthBuilder(option("user"), option("password").toCharArray()).setProvider("BC").build();
    }

    private static void verify() throws Exception {
        X509Certificate end = certificate(option("cert"));
        X509Certificate authority = certificate(option("ca"));
        TrustAnchor root = new TrustAnchor(certificate(option("root")), null);
        for (String provider : List.of("BC", "SUN")) {
            CertPathValidator validator = CertPathValidator.getInstance("PKIX", provider);
            PKIXRevocationChecker ocsp = (PKIXRevocationChecker) validator.getRevocationChecker();
            ocsp.setOptions(Set.of(PKIXRevocationChecker.Option.NO_FALLBACK));
            PKIXParameters parameters = new PKIXParameters(Set.of(root));
            parameters.addCertPathChecker(ocsp);
            // An own checker takes the place of the built-in one.
            parameters.setRevocationEnabled(provider.equals("SUN"));
            PKIXCertPathValidatorResult result = (PKIXCertPathValidatorResult) validator.validate(
                CertificateFactory.getInstance("X.509", provider.equals("BC") ? "BC" : "SUN")
                    .generateCertPath(List.of(end, authority)), parameters);
            X509Certificate anchor = result.getTrustAnchor().getTrustedCert();
            System.out.println(provider + " verified: " + anchor.getSubjectX500Principal());
        }
    }

    private static void session(Object session) {
        System.out.println("TLS: " + ((SSLSession) session).getProtocol());
    }

    private static X509Certificate certificate(String file) throws Exception {
        try (InputStream stream = Files.newInputStream(Path.of(file))) {
            return (X509Certificate) CertificateFactory.getInstance("X.509").generateCertificate(stream);
        }
    }

    private static PrivateKey privateKey(String file) throws Exception {
        try (PEMParser parser = new PEMParser(new FileReader(file))) {
            Object read = parser.readObject();
            PrivateKeyInfo key = read instanceof PEMKeyPair pair ? pair.getPrivateKeyInfo() : (PrivateKeyInfo) read;
            return new JcaPEMKeyConverter().setProvider("BC").getPrivateKey(key);
        }
    }

    private static void write(String file, Collection<X509CertificateHolder> certificates) throws IOException {
        try (JcaPEMWriter writer = new JcaPEMWriter(new FileWriter(file))) {
            for (X509CertificateHolder certificate : certificates) {
                writer.writeObject(certificate);
            }
        }
    }
}
