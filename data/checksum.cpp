#include "data/checksum.h"

#include <md5.h>
#include <sha2.h>

#include <array>

namespace tarn::data {

std::string md5_of(std::string_view bytes) {
  MD5_CTX state;
  ::MD5Init(&state);
  ::MD5Update(&state, reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  std::array<char, MD5_DIGEST_STRING_LENGTH> digits{};
  ::MD5End(&state, digits.data());
  return digits.data();
}

std::string sha256_of(std::string_view bytes) {
  SHA2_CTX state;
  ::SHA256Init(&state);
  ::SHA256Update(&state, reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  std::array<char, SHA256_DIGEST_STRING_LENGTH> digits{};
  ::SHA256End(&state, digits.data());
  return digits.data();
}

}  // namespace tarn::data
