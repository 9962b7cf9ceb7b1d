import java.io.ByteArrayInputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.Security;
import java.security.cert.CertPathValidator;
import java.security.cert.CertPathValidatorException;
import java.security.cert.CertStore;
import java.security.cert.CertificateFactory;
import java.security.cert.CertificateRevokedException;
import java.security.cert.CollectionCertStoreParameters;
import java.security.cert.PKIXParameters;
import java.security.cert.PKIXRevocationChecker;
import java.security.cert.PKIXRevocationChecker.Option;
import java.security.cert.TrustAnchor;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import org.bouncycastle.jcajce.PKIXExtendedParameters;
import org.bouncycastle.jce.provider.BouncyCastleProvider;

/**
 * What Java says of a certificate when it validates its path.
 *
 * <pre>
 * Status ocsp CERT ISSUER ROOT       the JDK, by OCSP alone, which it fetches by itself
 * Status crl CERT ISSUER ROOT        the JDK, by the lists alone that the certificate names
 * Status deltas CERT ISSUER LIST...  Bouncy Castle, by these lists alone, complete ones and deltas, in DER
 * </pre>
 *
 * Prints 'good' or 'revoked', with the reason where it tells one. Whatever else is wrong ends it.
 */
final class Status {
    private Status() {}

    public static void main(String[] args) throws Exception {
        var cert = certificate(args[1]);
        var issuer = certificate(args[2]);
        try {
            if (args[0].equals("deltas")) {
                deltas(cert, issuer, List.of(args).subList(3, args.length));
            } else {
                System.setProperty("com.sun.security.enableCRLDP", "true");
                var validator = CertPathValidator.getInstance("PKIX");
                var checker = (PKIXRevocationChecker) validator.getRevocationChecker();
                var options = EnumSet.of(Option.ONLY_END_ENTITY, Option.NO_FALLBACK);
                if (args[0].equals("crl")) options.add(Option.PREFER_CRLS);
                checker.setOptions(options);
                var parameters = new PKIXParameters(Set.of(new TrustAnchor(certificate(args[3]), null)));
                parameters.addCertPathChecker(checker);
                var path = CertificateFactory.getInstance("X.509").generateCertPath(List.of(cert, issuer));
                validator.validate(path, parameters);
            }
        } catch (CertPathValidatorException refused) {
            System.out.println(revoked(refused));
            return;
        }
        System.out.println("good");
    }

    /** The issuer's own status is the root's to tell, and not asked here: the issuer is the anchor. */
    private static void deltas(X509Certificate cert, X509Certificate issuer, List<String> files) throws Exception {
        Security.addProvider(new BouncyCastleProvider());
        var factory = CertificateFactory.getInstance("X.509", "BC");
        var lists = new ArrayList<Object>();
        for (var file : files) {
            lists.add(factory.generateCRL(new ByteArrayInputStream(Files.readAllBytes(Path.of(file)))));
        }
        var parameters = new PKIXParameters(Set.of(new TrustAnchor(issuer, null)));
        parameters.addCertStore(CertStore.getInstance("Collection", new CollectionCertStoreParameters(lists), "BC"));
        var extended = new PKIXExtendedParameters.Builder(parameters).setUseDeltasEnabled(true).build();
        CertPathValidator.getInstance("PKIX", "BC").validate(factory.generateCertPath(List.of(cert)), extended);
    }

    private static String revoked(CertPathValidatorException refused) throws Exception {
        for (Throwable cause = refused; cause != null; cause = cause.getCause()) {
            if (cause instanceof CertificateRevokedException revocation) {
                return "revoked " + revocation.getRevocationReason();
            }
            // Bouncy Castle: 'Certificate revocation after DATE, reason: keyCompromise'.
            var text = String.valueOf(cause.getMessage());
            if (text.startsWith("Certificate revocation after ")) {
                return "revoked " + text.replaceFirst(".*reason: ", "");
            }
        }
        throw refused;
    }

    private static X509Certificate certificate(String file) throws Exception {
        try (var in = Files.newInputStream(Path.of(file))) {
            return (X509Certificate) CertificateFactory.getInstance("X.509").generateCertificate(in);
        }
    }
}
