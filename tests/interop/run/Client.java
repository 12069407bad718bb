import java.net.Authenticator;
import java.net.InetSocketAddress;
import java.net.PasswordAuthentication;
import java.net.ProxySelector;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;

/**
 * One request by the client of Java: prints what the origin answers. It uses the proxy of the properties, or the one of
 * {@code https_proxy} if this has a user and a password.
 */
class Client {
    public static void main(String[] arguments) throws Exception {
        var request = HttpRequest.newBuilder(URI.create(arguments[0])).build();
        var response = client().send(request, HttpResponse.BodyHandlers.ofString());
        if (response.statusCode() != 200) throw new Exception("the status is " + response.statusCode());
        System.out.println(response.body());
    }

    private static HttpClient client() {
        var proxy = URI.create(System.getenv("https_proxy"));
        if (proxy.getUserInfo() == null) return HttpClient.newHttpClient();
        var user = proxy.getUserInfo().split(":");
        var authenticator = new Authenticator() {
            @Override
            protected PasswordAuthentication getPasswordAuthentication() {
                return getRequestorType() == RequestorType.PROXY ? new PasswordAuthentication(user[0], user[1].toCharArray()) : null;
            }
        };
        var address = new InetSocketAddress(proxy.getHost(), proxy.getPort());
        return HttpClient.newBuilder().proxy(ProxySelector.of(address)).authenticator(authenticator).build();
    }
}
