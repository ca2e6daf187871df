#include "seal/ed25519.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <memory>

#include "base/error.h"

namespace holdfast {
namespace {

struct FreeKey {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
using KeyHandle = std::unique_ptr<EVP_PKEY, FreeKey>;
using BioHandle = std::unique_ptr<BIO, FreeKey>;
using DigestHandle = std::unique_ptr<EVP_MD_CTX, FreeKey>;

BioHandle reading(const std::string& text) {
  return BioHandle(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

// Instead of asking on the terminal for the passphrase of an encrypted key.
int no_passphrase(char*, int, int, void*) {
  return -1;
}

KeyHandle private_key(const Secret& pem) {
  BioHandle bio = reading(pem.reveal());
  KeyHandle key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr));
  if (!key || EVP_PKEY_id(key.get()) != EVP_PKEY_ED25519)
    throw Error(ErrorCode::invalid, "this is no Ed25519 private key (or it has a passphrase)",
                "make one: openssl genpkey -algorithm ed25519 -out evidence.key");
  return key;
}

[[noreturn]] void signing_failed() {
  throw Error(ErrorCode::internal, "OpenSSL could not sign");
}

}  // namespace

SigningKey::SigningKey(const Secret& pem) : pem_(pem) {
  private_key(pem_);
}

std::string SigningKey::sign(ByteView message) const {
  KeyHandle key = private_key(pem_);
  DigestHandle context(EVP_MD_CTX_new());
  size_t size = 0;
  if (!context || EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key.get()) != 1 ||
      EVP_DigestSign(context.get(), nullptr, &size, message.data(), message.size()) != 1)
    signing_failed();
  std::string signature(size, '\0');
  if (EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size,
                     message.data(), message.size()) != 1)
    signing_failed();
  signature.resize(size);
  return signature;
}

std::string SigningKey::public_pem() const {
  KeyHandle key = private_key(pem_);
  BioHandle bio(BIO_new(BIO_s_mem()));
  if (!bio || PEM_write_bio_PUBKEY(bio.get(), key.get()) != 1) signing_failed();
  char* text = nullptr;
  long size = BIO_get_mem_data(bio.get(), &text);
  return std::string(text, static_cast<size_t>(size));
}

bool verify_signature(const std::string& public_pem, ByteView message, ByteView signature) {
  BioHandle bio = reading(public_pem);
  KeyHandle key(PEM_read_bio_PUBKEY(bio.get(), nullptr, no_passphrase, nullptr));
  if (!key || EVP_PKEY_id(key.get()) != EVP_PKEY_ED25519)
    throw Error(ErrorCode::invalid, "this is no Ed25519 public key");
  DigestHandle context(EVP_MD_CTX_new());
  return context &&
         EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key.get()) == 1 &&
         EVP_DigestVerify(context.get(), signature.data(), signature.size(), message.data(),
                          message.size()) == 1;
}

}  // namespace holdfast
