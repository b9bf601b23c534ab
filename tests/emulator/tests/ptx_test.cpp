// The interpreter of PTX: what it counts, what it refuses and what it finds, in kernels of a few
// instructions. tests/ptx runs those of tarn.
#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "tests/emulator/emulator.h"
#include "tests/emulator/ptx/assemble.h"
#include "tests/emulator/ptx/counts.h"
#include "tests/emulator/ptx/interpreter.h"
#include "tests/emulator/tests/device_memory.h"

namespace emulator::test {
namespace {

// A kernel of one parameter, whose address is in %rd0, and the thread's number in %r0.
struct Program {
  explicit Program(const std::string& name, const std::string& body)
      : text(".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry " + name +
             "(.param .u64 p)\n{\n.reg .pred %p<8>; .reg .b16 %rs<8>; .reg .b32 %r<16>; "
             ".reg .b64 %rd<8>; .reg .f32 %f<8>; .reg .f64 %fd<8>;\n"
             "ld.param.u64 %rd0, [p]; mov.u32 %r0, %tid.x;\n" +
             body + "\n}\n"),
        file(ptx::parse_file(text, "test.ptx")),
        kernel(ptx::assemble(file, file.entries.at(0), "test.ptx")) {}

  // What it counts of a launch.
  ptx::Counts run(void* memory, unsigned threads, unsigned blocks = 1) const {
    ptx::Counts& counts = ptx::counts_of(kernel.name);
    counts = {};
    const auto address = reinterpret_cast<std::uint64_t>(memory);
    const auto* bytes = reinterpret_cast<const unsigned char*>(&address);
    ptx::run_kernel(kernel, {.name = "test", .grid = dim3(blocks), .block = dim3(threads)},
                    {{bytes, sizeof address}});
    return counts;
  }

  std::string text;
  ptx::File file;
  ptx::Kernel kernel;
};

// The address of the thread's element of four or eight bytes into %rd1.
const std::string kOwn4 = "mul.wide.u32 %rd1, %r0, 4; add.s64 %rd1, %rd0, %rd1;\n";
const std::string kOwn8 = "mul.wide.u32 %rd1, %r0, 8; add.s64 %rd1, %rd0, %rd1;\n";

std::vector<std::uint32_t> numbers(const std::string& body, unsigned threads) {
  DeviceMemory<std::uint32_t> memory(std::vector<std::uint32_t>(threads, 0));
  Program("numbers", kOwn4 + body + "st.global.u32 [%rd1], %r1; ret;").run(memory.data(), threads);
  CHECK_MESSAGE(faults().empty(), faults()[0].text);
  return memory.read();
}

double number(const std::string& body) {
  DeviceMemory<double> memory(std::vector<double>(1, 0));
  Program("number", body + "st.global.f64 [%rd0], %fd0; ret;").run(memory.data(), 1);
  return memory.read()[0];
}

// The kind of the only fault, whose text must hold `part`.
FaultKind only_fault(const std::string& part) {
  REQUIRE(faults().size() == 1);
  CHECK_MESSAGE(faults()[0].text.find(part) != std::string::npos, faults()[0].text);
  const FaultKind kind = faults()[0].kind;
  clear_faults();
  return kind;
}

TEST_CASE("ptx: what is not known is refused with its line") {
  const auto refused = [](const std::string& body) -> std::string {
    try {
      Program("refused", body);
    } catch (const ptx::Error& error) {
      return error.what();
    }
    return "";
  };
  CHECK(refused("\ntex.1d.v4.f32.s32 %r1, %r2;") ==
        "test.ptx:9: unknown instruction: tex.1d.v4.f32.s32 %r1, %r2");
  CHECK(refused("add.s32 %r1, %rd2, %r2;") ==
        "test.ptx:8: another size of %rd2 was expected: add.s32 %r1, %rd2, %r2");
  CHECK(refused("add.s32 %r1, %r2;") ==
        "test.ptx:8: another number of operands was expected: add.s32 %r1, %r2");
  CHECK(refused("mov.u32 %r1, %clock;") ==
        "test.ptx:8: unknown register %clock: mov.u32 %r1, %clock");
  CHECK(refused("mov.u32 %r1, other;") == "test.ptx:8: unknown operand other: mov.u32 %r1, other");
  CHECK(refused("bra $nowhere;") == "test.ptx:8: unknown label: bra $nowhere");
}

TEST_CASE("ptx: lanes that part meet again at the join") {
  DeviceMemory<std::uint32_t> memory(std::vector<std::uint32_t>(32, 0));
  // Lane n goes round the loop n % 4 + 1 times: 4 rounds for the warp.
  const Program program("loop", kOwn4 + R"(
    and.b32 %r1, %r0, 3; mov.u32 %r2, 0;
    $again: add.s32 %r2, %r2, 10;
    setp.gt.s32 %p1, %r1, 0; add.s32 %r1, %r1, -1;
    @%p1 bra $again;
    st.global.u32 [%rd1], %r2;
    ret;)");
  const ptx::Counts counts = program.run(memory.data(), 32);
  for (std::uint32_t lane = 0; lane < 32; ++lane) CHECK(memory.read()[lane] == 10 * (lane % 4 + 1));
  CHECK(counts.warp_instructions == 2 + 2 + 2 + 4 * 4 + 2);
  CHECK(counts.sectors_written == 4);

  // Both sides of a branch, and what follows once.
  const Program branch("branch", R"(
    setp.lt.u32 %p1, %r0, 16;
    @%p1 bra $low;
    mov.u32 %r1, 1;
    bra.uni $join;
    $low: mov.u32 %r1, 2;
    $join: add.s32 %r2, %r1, 1; ret;)");
  CHECK(branch.run(memory.data(), 32).warp_instructions == 2 + 2 + 2 + 1 + 2);
  CHECK(branch.run(memory.data(), 16).warp_instructions == 2 + 2 + 1 + 2);
  CHECK(faults().empty());
}

TEST_CASE("ptx: collectives of lanes that come to them apart") {
  const std::vector<std::uint32_t> turned =
      numbers("xor.b32 %r2, %r0, 5; shfl.sync.bfly.b32 %r1|%p1, %r2, 3, 31, -1;", 64);
  const std::vector<std::uint32_t> moved = numbers(
      "mov.u32 %r1, 99; shfl.sync.up.b32 %r2|%p1, %r0, 2, 0, -1; @%p1 mov.u32 %r1, %r2;", 32);
  const std::vector<std::uint32_t> read =
      numbers("shfl.sync.idx.b32 %r1|%p1, %r0, 9, 6175, -1;", 32);  // segments of 8
  const std::vector<std::uint32_t> votes = numbers(
      "and.b32 %r2, %r0, 1; setp.eq.s32 %p1, %r2, 1; @%p1 bra $odd; $odd:"
      "vote.sync.ballot.b32 %r1, %p1, -1;",
      32);
  for (std::uint32_t lane = 0; lane < 32; ++lane) {
    CHECK(turned[lane] == (lane ^ 3 ^ 5));
    CHECK(moved[lane] == (lane < 2 ? 99 : lane - 2));
    CHECK(read[lane] == lane / 8 * 8 + 1);
    CHECK(votes[lane] == 0xAAAAAAAAU);
  }
  Program("apart", R"(
    setp.lt.u32 %p1, %r0, 16;
    @%p1 bra $low;
    bar.warp.sync -1; ret;
    $low: ret;)")
      .run(nullptr, 32);  // those that returned are not waited for
  CHECK(faults().empty());
  Program("deadlock", R"(
    setp.lt.u32 %p1, %r0, 16;
    @%p1 bra $low;
    bar.warp.sync -1; ret;
    $low: bar.warp.sync -1; ret;)")
      .run(nullptr, 32);
  CHECK(only_fault("wait elsewhere") == FaultKind::divergence);
}

TEST_CASE("ptx: shared memory, with a barrier and without") {
  const auto reverse = [](const std::string& barrier) {
    return Program("reverse", ".shared .align 4 .b8 tile[256];\n" + kOwn4 + R"(
      mov.u32 %r1, tile; shl.b32 %r2, %r0, 2; add.s32 %r3, %r1, %r2; sub.s32 %r4, %r1, %r2;
      st.shared.u32 [%r3], %r0; )" +
                                  barrier + R"(
      ld.shared.u32 %r5, [%r4+252]; st.global.u32 [%rd1], %r5; ret;)");
  };
  DeviceMemory<std::uint32_t> memory(std::vector<std::uint32_t>(64, 0));
  settings().order = Order::random;
  const ptx::Counts counts = reverse("bar.sync 0;").run(memory.data(), 64, 1);
  CHECK(faults().empty());
  CHECK(counts.barriers == 1);
  CHECK(counts.wavefronts == 4);
  for (std::uint32_t i = 0; i < 64; ++i) CHECK(memory.read()[i] == 63 - i);
  reverse("").run(memory.data(), 64);
  REQUIRE(!faults().empty());
  for (const Fault& fault : faults()) {
    const bool expected = fault.kind == FaultKind::race || fault.kind == FaultKind::uninitialized;
    CHECK_MESSAGE(expected, fault.text);
  }
  clear_faults();
  settings() = {};
}

TEST_CASE("ptx: what threads may not do") {
  DeviceMemory<std::uint32_t> memory(std::vector<std::uint32_t>(32, 0));
  const auto run = [&](const std::string& body, unsigned threads) {
    Program("fault", body).run(memory.data(), threads);
  };
  run(kOwn4 + "st.global.u32 [%rd1+4], %r0; ret;", 32);
  CHECK(only_fault("write of 4 bytes") == FaultKind::out_of_bounds);
  run("st.global.u32 [%rd0+2], %r0; ret;", 1);
  CHECK(only_fault("not aligned") == FaultKind::misaligned);
  run(".shared .align 4 .b8 tile[8]; st.shared.u32 [tile+8], %r0; ret;", 1);
  CHECK(only_fault("test.ptx:8: st.shared.u32 [tile+8], %r0") == FaultKind::out_of_bounds);
  run("setp.lt.u32 %p1, %r0, 3; @%p1 ret; bar.sync 0; ret;", 64);
  CHECK(only_fault("this one returned") == FaultKind::divergence);
  run("setp.lt.u32 %p1, %r0, 32; @%p1 bra $other; bar.sync 0; ret; $other: bar.sync 0; ret;", 64);
  CHECK(only_fault("meet at different barriers") == FaultKind::divergence);
}

TEST_CASE("ptx: what is rounded, and what does not fit") {
  // 1 + 2^-60 is 1 when rounded down, and 1 - 2^-60 the float below.
  const auto down = [](const char* addend) {
    return number("mov.f32 %f1, 0f30800000; mov.f32 %f2, " + std::string(addend) +
                  "; fma.rm.f32 %f3, %f1, %f2, 0f3F800000; cvt.f64.f32 %fd0, %f3;");
  };
  CHECK(down("0f30800000") == 1);
  CHECK(down("0fB0800000") == 1 - std::ldexp(1.0, -24));
  const double above = 1 + std::ldexp(1.0, -52);
  CHECK(number("add.rz.f64 %fd0, 0d3FF0000000000001, 0dBC30000000000000;") == 1);
  CHECK(number("add.rz.f64 %fd0, 0d3FF0000000000001, 0d3CAFFFFFFFFFFFFF;") == above);
  CHECK(number("rcp.approx.ftz.f64 %fd0, 0d4008000000000000;") ==
        doctest::Approx(1.0 / 3).epsilon(1e-6));
  CHECK(number("copysign.f64 %fd0, 0dBFF0000000000000, 0d4000000000000000;") == -2);
  const std::vector<std::uint32_t> cut =
      numbers("mov.f64 %fd1, 0d41F0000000000000; cvt.rzi.s32.f64 %r1, %fd1;", 1);
  CHECK(cut[0] == 0x7FFFFFFF);
  CHECK(numbers("cvt.rzi.s32.f64 %r1, 0d7FF8000000000000;", 1)[0] == 0);
  CHECK(numbers("mov.u32 %r2, 0; div.u32 %r1, %r0, %r2;", 1)[0] == ~0U);
  CHECK(numbers("mov.u32 %r2, -2147483648; rem.s32 %r1, %r2, -1;", 1)[0] == 0);
  CHECK(numbers("mov.u32 %r2, 40; mov.u32 %r3, -8; shr.s32 %r1, %r3, %r2;", 1)[0] == ~0U);
  CHECK(numbers("bfind.shiftamt.u32 %r1, 256;", 1)[0] == 23);
  CHECK(numbers("mov.f32 %f1, 0f7FC00000; setp.gtu.f32 %p1, %f1, 0f00000000; "
                "selp.u32 %r1, 3, 4, %p1;",
                1)[0] == 3);
}

TEST_CASE("ptx: sectors of global memory and passes over shared memory") {
  const auto strided = [](std::uint64_t bytes) {
    ptx::Addresses addresses;
    for (std::size_t lane = 0; lane < ptx::kLanes; ++lane) addresses[lane] = 4096 + lane * bytes;
    return addresses;
  };
  CHECK(ptx::sectors_of(strided(4), ptx::kAllLanes, 4) == 4);
  CHECK(ptx::sectors_of(strided(16), ptx::kAllLanes, 16) == 16);
  CHECK(ptx::sectors_of(strided(128), ptx::kAllLanes, 4) == 32);
  CHECK(ptx::sectors_of(strided(0), ptx::kAllLanes, 4) == 1);
  CHECK(ptx::sectors_of(strided(4), 0x80000001U, 4) == 2);
  const auto passes = [&](std::uint64_t stride, std::uint32_t bytes, std::uint64_t least) {
    std::uint64_t counted = 0;
    const std::uint64_t all = ptx::wavefronts_of(strided(stride), ptx::kAllLanes, bytes, counted);
    CHECK(counted == least);
    return all;
  };
  CHECK(passes(4, 4, 1) == 1);
  CHECK(passes(0, 4, 1) == 1);
  CHECK(passes(8, 4, 1) == 2);
  CHECK(passes(128, 4, 1) == 32);
  CHECK(passes(132, 4, 1) == 1);
  CHECK(passes(16, 16, 4) == 4);
  CHECK(passes(128, 16, 4) == 32);
}

// Run by tests/ptx, where there is such a folder.
TEST_CASE("ptx: every kernel of the folder TARN_PTX is known" * doctest::skip()) {
  const char* folder = std::getenv("TARN_PTX");
  REQUIRE(folder != nullptr);
  std::size_t kernels = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".ptx") continue;
    std::ifstream in(entry.path());
    std::ostringstream text;
    text << in.rdbuf();
    const std::string whole = text.str(), name = entry.path().filename().string();
    const ptx::File file = ptx::parse_file(whole, name);
    CHECK_MESSAGE(!file.entries.empty(), name);
    for (const ptx::Entry& kernel : file.entries) {
      CHECK_NOTHROW(ptx::assemble(file, kernel, name));
      ++kernels;
    }
  }
  CHECK(kernels > 0);
}

}  // namespace
}  // namespace emulator::test
