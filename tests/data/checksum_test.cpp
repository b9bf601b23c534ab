#include "data/checksum.h"

#include <doctest/doctest.h>

namespace tarn::data {
namespace {

TEST_CASE("md5: the values of RFC 1321") {
  CHECK(md5_of("") == "d41d8cd98f00b204e9800998ecf8427e");
  CHECK(md5_of("message digest") == "f96b697d7cb7938d525a2f31aaf161d0");
}

}  // namespace
}  // namespace tarn::data
