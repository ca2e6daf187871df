#include "engine/certificate.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <memory>

#include "base/error.h"
#include "base/file.h"

namespace holdfast {
namespace {

constexpr uint64_t kPemBytesMax = 64 << 10;
constexpr std::chrono::days kLifetime{3650};
constexpr std::chrono::days kRenewBefore{30};
constexpr std::chrono::hours kBackdated{24};  // for clients whose clock is slow
constexpr int kSerialBytes = 16;
constexpr size_t kHostCharsMax = 253;       // RFC 1035
constexpr size_t kCommonNameCharsMax = 64;  // X.520's ub-common-name

template <typename Object, void (*free_object)(Object*)>
struct Freed {
  void operator()(Object* object) const { free_object(object); }
};
using Key = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY, EVP_PKEY_free>>;
using X509Handle = std::unique_ptr<X509, Freed<X509, X509_free>>;
using Bio = std::unique_ptr<BIO, Freed<BIO, BIO_free_all>>;

void check(bool good, std::string_view what) {
  if (good) return;
  std::array<char, 200> reason{};
  ERR_error_string_n(ERR_get_error(), reason.data(), reason.size());
  ERR_clear_error();
  throw Error(ErrorCode::internal,
              fmt::format("make the server certificate: {}: {}", what, reason.data()));
}

bool is_address(const std::string& host) {
  std::array<uint8_t, sizeof(in6_addr)> address{};
  return ::inet_pton(AF_INET, host.c_str(), address.data()) == 1 ||
         ::inet_pton(AF_INET6, host.c_str(), address.data()) == 1;
}

// A name goes into OpenSSL's extension syntax, where a comma would begin another name.
void check_host(const std::string& host) {
  bool good = !host.empty() && host.size() <= kHostCharsMax &&
              std::all_of(host.begin(), host.end(), [](char c) {
                return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       c == '-' || c == '.' || c == '_' || c == ':';
              });
  if (good && (host.find(':') == std::string::npos || is_address(host))) return;
  throw Error(ErrorCode::invalid, "the advertised host is no host name and no IP address",
              "set advertise_host to the name that clients reach this machine by, without a port");
}

std::string alternative_names(const std::string& host) {
  std::string names = "DNS:localhost,IP:127.0.0.1,IP:::1";
  if (host == "localhost" || host == "127.0.0.1" || host == "::1") return names;
  return names + (is_address(host) ? ",IP:" : ",DNS:") + host;
}

std::string contents(BIO* bio) {
  char* data = nullptr;
  long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<size_t>(std::max(size, 0L))};
}

void add_extension(X509* certificate, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  std::unique_ptr<X509_EXTENSION, Freed<X509_EXTENSION, X509_EXTENSION_free>> extension(
      X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  check(extension != nullptr, value);
  check(X509_add_ext(certificate, extension.get(), -1) == 1, value);
}

void set_random_serial(X509* certificate) {
  std::array<uint8_t, kSerialBytes> bytes{};
  check(RAND_bytes(bytes.data(), kSerialBytes) == 1, "random serial");
  bytes[0] = static_cast<uint8_t>((bytes[0] & 0x7f) | 0x40);  // positive, and of full length
  std::unique_ptr<BIGNUM, Freed<BIGNUM, BN_free>> number(
      BN_bin2bn(bytes.data(), kSerialBytes, nullptr));
  check(number && BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr,
        "serial");
}

std::time_t seconds_of(UtcTime time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

X509Handle make_certificate(EVP_PKEY* key, const std::string& host, UtcTime now) {
  X509Handle certificate(X509_new());
  check(certificate != nullptr, "certificate");
  check(X509_set_version(certificate.get(), X509_VERSION_3) == 1, "version");
  set_random_serial(certificate.get());
  check(ASN1_TIME_set(X509_getm_notBefore(certificate.get()), seconds_of(now - kBackdated)) &&
            ASN1_TIME_set(X509_getm_notAfter(certificate.get()), seconds_of(now + kLifetime)),
        "validity");
  check(X509_set_pubkey(certificate.get(), key) == 1, "public key");
  X509_NAME* name = X509_get_subject_name(certificate.get());
  std::string common_name = host.size() <= kCommonNameCharsMax ? host : "holdfast";
  check(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                                   reinterpret_cast<const unsigned char*>(common_name.c_str()), -1,
                                   -1, 0) == 1,
        "name");
  check(X509_set_issuer_name(certificate.get(), name) == 1, "issuer");
  // A root of its own, so that clients can name this very file as sslrootcert.
  add_extension(certificate.get(), NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
  add_extension(certificate.get(), NID_key_usage, "critical,digitalSignature,keyCertSign");
  add_extension(certificate.get(), NID_ext_key_usage, "serverAuth");
  add_extension(certificate.get(), NID_subject_key_identifier, "hash");
  add_extension(certificate.get(), NID_subject_alt_name, alternative_names(host));
  check(X509_sign(certificate.get(), key, EVP_sha256()) > 0, "signature");
  return certificate;
}

Bio readable(const std::string& text) {
  return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

UtcTime expiry_of(X509* certificate) {
  std::tm time{};
  check(ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &time) == 1, "expiry");
  return std::chrono::time_point_cast<std::chrono::milliseconds>(
      std::chrono::system_clock::from_time_t(::timegm(&time)));
}

bool covers(X509* certificate, const std::string& host) {
  return is_address(host) ? X509_check_ip_asc(certificate, host.c_str(), 0) == 1
                          : X509_check_host(certificate, host.c_str(), 0, 0, nullptr) == 1;
}

// Whether the pair that is there can go on being used. What cannot be read as one is no pair: it is
// replaced, as nothing else depends on it.
bool still_good(Certificate& found, const std::string& host, UtcTime now) {
  if (!file_exists(found.certificate_file) || !file_exists(found.key_file)) return false;
  std::string pem = read_file(found.certificate_file, kPemBytesMax);
  std::string key_pem = read_file(found.key_file, kPemBytesMax);
  Bio certificate_bio = readable(pem), key_bio = readable(key_pem);
  X509Handle certificate(PEM_read_bio_X509(certificate_bio.get(), nullptr, nullptr, nullptr));
  Key key(PEM_read_bio_PrivateKey(key_bio.get(), nullptr, nullptr, nullptr));
  OPENSSL_cleanse(key_pem.data(), key_pem.size());
  bool good = certificate && key && X509_check_private_key(certificate.get(), key.get()) == 1 &&
              covers(certificate.get(), host) && expiry_of(certificate.get()) - now > kRenewBefore;
  if (good) found.expires_at = expiry_of(certificate.get());
  ERR_clear_error();
  return good;
}

}  // namespace

Certificate ensure_certificate(const std::string& folder, const std::string& advertised_host,
                               const Clock& clock) {
  check_host(advertised_host);
  Certificate result{folder + "/server.crt", folder + "/server.key", {}, false};
  const UtcTime now = clock.now();
  if (still_good(result, advertised_host, now)) return result;

  Key key(EVP_EC_gen("P-256"));
  check(key != nullptr, "key");
  X509Handle certificate = make_certificate(key.get(), advertised_host, now);
  Bio key_bio(BIO_new(BIO_s_secmem())), certificate_bio(BIO_new(BIO_s_mem()));
  check(key_bio && PEM_write_bio_PKCS8PrivateKey(key_bio.get(), key.get(), nullptr, nullptr, 0,
                                                 nullptr, nullptr) == 1,
        "write the key");
  check(certificate_bio && PEM_write_bio_X509(certificate_bio.get(), certificate.get()) == 1,
        "write it");
  std::string key_pem = contents(key_bio.get());
  write_file_atomic(result.key_file, key_pem, 0600);
  OPENSSL_cleanse(key_pem.data(), key_pem.size());
  write_file_atomic(result.certificate_file, contents(certificate_bio.get()), 0600);
  result.expires_at = expiry_of(certificate.get());
  result.made = true;
  return result;
}

}  // namespace holdfast
