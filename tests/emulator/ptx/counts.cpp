#include "tests/emulator/ptx/counts.h"

#include <algorithm>
#include <bit>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <map>

namespace emulator::ptx {
namespace {

constexpr std::uint64_t kSector = 32, kWord = 4;
constexpr std::size_t kBanks = 32;

// Written when the process ends.
class Log {
 public:
  Log() = default;
  ~Log() {
    const char* name = std::getenv("TARN_PTX_COUNTS");
    if (name == nullptr) return;
    std::FILE* file = std::fopen(name, "w");
    if (file == nullptr) {
      std::fprintf(stderr, "emulator: TARN_PTX_COUNTS: %s cannot be written\n", name);
      return;
    }
    std::fputs(
        "kernel launches blocks warp_instructions fused barriers sectors_read "
        "sectors_written wavefronts least_wavefronts\n",
        file);
    for (const auto& [kernel, c] : counts_) {
      std::fprintf(file, "%s", kernel.c_str());
      for (const std::uint64_t count :
           {c.launches, c.blocks, c.warp_instructions, c.fused, c.barriers, c.sectors_read,
            c.sectors_written, c.wavefronts, c.least_wavefronts}) {
        std::fprintf(file, " %" PRIu64, count);
      }
      std::fputc('\n', file);
    }
    std::fclose(file);
  }
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  Counts& of(const std::string& kernel) { return counts_[kernel]; }

 private:
  std::map<std::string, Counts> counts_;
};

}  // namespace

Counts& counts_of(const std::string& kernel) {
  static Log log;
  return log.of(kernel);
}

std::uint64_t sectors_of(const Addresses& addresses, Mask mask, std::uint32_t bytes) {
  std::array<std::uint64_t, 2 * kLanes> sectors;  // an access is no longer than a sector
  std::size_t count = 0;
  for (; mask != 0; mask &= mask - 1) {
    const std::uint64_t address = addresses[static_cast<std::size_t>(std::countr_zero(mask))];
    for (std::uint64_t s = address / kSector; s <= (address + bytes - 1) / kSector; ++s) {
      // Neighbours mostly share one, or follow each other.
      if (count == 0 || sectors[count - 1] != s) sectors[count++] = s;
    }
  }
  const auto end = sectors.begin() + static_cast<std::ptrdiff_t>(count);
  if (!std::is_sorted(sectors.begin(), end)) std::sort(sectors.begin(), end);
  return static_cast<std::uint64_t>(std::unique(sectors.begin(), end) - sectors.begin());
}

std::uint64_t wavefronts_of(const Addresses& addresses, Mask mask, std::uint32_t bytes,
                            std::uint64_t& least) {
  const unsigned together = kLanes * 4 / std::max(bytes, 4U);
  std::uint64_t passes = 0;
  for (unsigned first = 0; first < kLanes; first += together) {
    std::array<std::uint64_t, kLanes> words;  // 128 bytes
    std::size_t count = 0;
    for (unsigned lane = first; lane < first + together; ++lane) {
      if ((mask >> lane & 1) == 0) continue;
      const std::uint64_t word = addresses[lane] / kWord;
      if (count > 0 && words[count - 1] == word) continue;
      for (std::uint64_t w = 0; w < std::max<std::uint64_t>(1, bytes / kWord); ++w) {
        words[count++] = word + w;
      }
    }
    if (count == 0) continue;
    ++least;
    const auto end = words.begin() + static_cast<std::ptrdiff_t>(count);
    if (!std::is_sorted(words.begin(), end)) std::sort(words.begin(), end);
    std::array<std::uint8_t, kBanks> of_bank{};
    std::uint8_t most = 0;
    for (auto word = words.begin(); word != end; ++word) {
      if (word != words.begin() && word[-1] == *word) continue;
      most = std::max(most, ++of_bank[*word % kBanks]);
    }
    passes += most;
  }
  return passes;
}

}  // namespace emulator::ptx
