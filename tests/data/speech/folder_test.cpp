#include "data/speech/folder.h"

#include <doctest/doctest.h>

#include <set>
#include <string>
#include <vector>

#include "core/check.h"
#include "core/io/file.h"
#include "tests/support/audio_files.h"
#include "tests/support/optional_data.h"
#include "tests/support/temp_dir.h"

namespace tarn::data {
namespace {

using Phones = std::vector<std::int32_t>;

// A folder of three utterances, to be spoilt.
class Folder {
 public:
  Folder() { test::write_speech_folder(dir_.path(), 3); }

  std::filesystem::path operator/(const std::string& file) const { return dir_ / file; }
  void write(const std::string& file, const std::string& text) const {
    test::write_text(dir_ / file, text);
  }

  SpeechFolder read() const {
    const PhoneList phones(dir_ / "phones.txt");
    return read_speech_folder({.folder = dir_.path(), .phones = &phones});
  }
  SpeechFolder read_words() const {
    const PhoneList phones(dir_ / "phones.txt");
    const Lexicon lexicon(dir_ / "lexicon.txt");
    return read_speech_folder(
        {.folder = dir_.path(), .text = "words", .phones = &phones, .lexicon = &lexicon});
  }

  // That reading fails, with a message that begins with the place and goes on with the reason.
  void check_refused(const std::string& place, const std::string& why) const {
    CAPTURE(place);
    const std::string expected = message((dir_ / place).string(), why);
    CHECK_THROWS_WITH_AS(read(), doctest::Contains(expected.c_str()), IoError);
  }

 private:
  test::TempDir dir_;
};

TEST_CASE("speech folder: text files with a byte order mark, or in UTF-16") {
  const Folder dir;
  for (const char* file : {"wav.scp", "text", "utt2spk", "phones.txt"}) {
    dir.write(file, "\xef\xbb\xbf" + read_file(dir / file));
  }
  CHECK(dir.read().utterances[0].id == "u0");
  dir.write("phones.txt", "<blk>\nA\n\xe9\n");
  dir.check_refused("phones.txt", ":3: a symbol is not in UTF-8");
  dir.write("phones.txt", "<blk>\nA\nB\n\xc3\xa9\nC\n");
  dir.write("text", std::string("\xff\xfeu\0", 4));
  dir.check_refused("text", " is in UTF-16; save it as UTF-8");
}

TEST_CASE("speech folder: utterances, speakers and phones") {
  const Folder dir;
  // Any order in text and utt2spk; tabs, spaces at the end, carriage returns and empty lines.
  dir.write("text", "u2\tC A  B\r\n\nu0 A \nu1");
  dir.write("utt2spk", "u1 anna\nu0 zoe\nu2 anna\n");
  const SpeechFolder folder = dir.read();
  REQUIRE(folder.utterances.size() == 3);
  CHECK(folder.speakers == std::vector<std::string>{"anna", "zoe"});
  CHECK(folder.utterances[0].id == "u0");
  CHECK(folder.utterances[0].audio == dir / "u0.flac");
  CHECK(folder.utterances[0].speaker == 1);
  CHECK(folder.utterances[0].phones == Phones{1});
  CHECK(folder.utterances[1].speaker == 0);
  CHECK(folder.utterances[1].phones.empty());
  CHECK(folder.utterances[2].phones == Phones{3, 1, 2});
  CHECK(folder.utterances[2].line == 3);
  CHECK(folder.where(folder.utterances[2]) == message((dir / "wav.scp").string(), ":3: u2"));
}

TEST_CASE("speech folder: audio below a root, absolute, and with spaces in its name") {
  const Folder dir;
  std::filesystem::rename(dir / "u1.flac", dir / "u 1.flac");
  dir.write("wav.scp", message("u0 u0.flac\nu1  u 1.flac\nu2 ", (dir / "u2.flac").string(), "\n"));
  const test::TempDir elsewhere;
  for (const char* name : {"wav.scp", "utt2spk"}) {
    std::filesystem::copy(dir / name, elsewhere / name);
  }
  const SpeechFolder folder =
      read_speech_folder({.folder = elsewhere.path(), .root = dir / "", .text = ""});
  CHECK(folder.utterances[0].audio == dir / "u0.flac");
  CHECK(folder.utterances[1].audio == dir / "u 1.flac");
  CHECK(folder.utterances[2].audio == dir / "u2.flac");
  CHECK(folder.utterances[2].phones.empty());
}

TEST_CASE("speech folder: each mistake is named with its file and line") {
  const Folder dir;
  const auto with = [&](const char* file, const std::string& text, const std::string& place,
                        const std::string& why) {
    const std::string before = read_file(dir / file);
    dir.write(file, text);
    dir.check_refused(place, why);
    dir.write(file, before);
    CHECK_NOTHROW(dir.read());
  };
  const std::string scp = "u0 u0.flac\nu1 u1.flac\n";
  with("wav.scp", "", "wav.scp", " names no audio");
  with("wav.scp", scp + "u2 absent.flac\n", "wav.scp",
       message(":3: u2 has no audio: ", (dir / "absent.flac").string(),
               " does not exist; paths here start at "));
  with("wav.scp", scp + "u2\n", "wav.scp", ":3: u2 has no audio file");
  with("wav.scp", scp + "u2 .\n", "wav.scp", ":3: u2 has no audio: ");
  with("wav.scp", scp + "u2 sph2pipe -f wav a.wv1 |\n", "wav.scp",
       ":3: u2 is a command, and tarn runs none; write what");
  with("wav.scp", scp + "u2 | cat a.wav\n", "wav.scp", ":3: u2 is a command");
  with("wav.scp", scp + "u0 u2.flac\n", "wav.scp",
       ":3: u0 is a second time in the file; the first is line 1");
  with("wav.scp", scp, "utt2spk", ":3: u2 has no audio: it is not in ");
  with("text", "u0 A\nu1 A\n", "wav.scp", ":3: u2 has no transcript: it is not in ");
  with("text", "u0 A\nu1 A\nu2 A\nu3 A\n", "text", ":4: u3 has no audio: it is not in ");
  with("text", "u0 A\nu1 A\nu2 A\nu1 A\n", "text", ":4: u1 is a second time in the file");
  with("text", "u0 A\nu1 A X B\nu2 A\n", "text", ":2: u1 holds X, which is not a phone of ");
  with("text", "u0 A\nu1 A <blk>\nu2 A\n", "text", ":2: u1 holds <blk>, which is not a phone of ");
  with("utt2spk", "u0 a\nu1 b\n", "wav.scp", ":3: u2 has no speaker: it is not in ");
  with("utt2spk", "u0 a\nu1 b\nu2\n", "utt2spk", ":3: u2 has no speaker");
  with("utt2spk", "u0 a\nu1 b\nu2 a\nu9 a\n", "utt2spk", ":4: u9 has no audio");
  std::filesystem::remove(dir / "utt2spk");
  CHECK_THROWS_WITH_AS(dir.read(), doctest::Contains("utt2spk: No such file"), IoError);
}

TEST_CASE("phone list: with and without numbers; the blank is no phone") {
  const test::TempDir dir;
  for (const char* text : {"<blk> 0\nAA 1\nB 2\n", "<blk>\nAA\nB"}) {
    test::write_text(dir / "phones.txt", text);
    const PhoneList phones(dir / "phones.txt");
    CHECK(phones.size() == 3);
    CHECK(phones.name(0) == "<blk>");
    CHECK(phones.name(2) == "B");
    CHECK(phones.find("AA") == 1);
    CHECK_FALSE(phones.find("<blk>").has_value());
    CHECK_FALSE(phones.find("A").has_value());
  }
  const auto refused = [&](const char* text, const char* why) {
    test::write_text(dir / "phones.txt", text);
    CHECK_THROWS_WITH_AS(PhoneList(dir / "phones.txt"), doctest::Contains(why), IoError);
  };
  refused("", "phones.txt has 0 symbols");
  refused("<blk> 0\n", "phones.txt has 1 symbols");
  refused("A 1\nB 2\n", "phones.txt:1: A has the number 1, and 0 comes next");
  refused("A 0\nB 1\n\nC 3\n", "phones.txt:4: C has the number 3, and 2 comes next");
  refused("A\nB\nA\n", "phones.txt:3: A is a second time");
}

TEST_CASE("lexicon: CMUdict's format and Kaldi's, the first pronunciation of each word") {
  const Folder dir;
  dir.write("lexicon.txt",
            ";;; an old comment\n"
            "word A0 B1 # a comment, A\n"
            "word(2) C\n"
            "Only(2) C C\n"
            "twice B\ntwice C\n"
            "(odd) A\n"
            "#hash A B\n");
  const PhoneList phones(dir / "phones.txt");
  const Lexicon lexicon(dir / "lexicon.txt");
  const auto phones_of = [&](const char* word) {
    Phones out;
    if (!lexicon.pronounce(word, phones, out)) out = {-1};
    return out;
  };
  CHECK(phones_of("word") == Phones{1, 2});
  CHECK(phones_of("WORD") == Phones{1, 2});
  CHECK(phones_of("only") == Phones{3, 3});
  CHECK(phones_of("twice") == Phones{2});
  CHECK(phones_of("(odd)") == Phones{1});
  CHECK(phones_of("#hash") == Phones{1, 2});
  CHECK(phones_of("none") == Phones{-1});
  CHECK(phones_of("word(2)") == Phones{-1});
  // An exact spelling goes before another one.
  dir.write("lexicon.txt", "Polish A\npolish B\n");
  Phones out;
  const Lexicon cased(dir / "lexicon.txt");
  CHECK(cased.pronounce("polish", phones, out));
  CHECK(cased.pronounce("Polish", phones, out));
  CHECK(cased.pronounce("POLISH", phones, out));
  CHECK(out == Phones{2, 1, 1});
  dir.write("lexicon.txt", "fine A\nbad # A\n");
  CHECK_THROWS_WITH_AS(Lexicon(dir / "lexicon.txt"),
                       doctest::Contains("lexicon.txt:2: bad has no phones"), IoError);
  dir.write("lexicon.txt", ";;;\n");
  CHECK_THROWS_WITH_AS(Lexicon(dir / "lexicon.txt"), doctest::Contains("holds no words"), IoError);
}

TEST_CASE("speech folder: words become phones; all that are missing are listed") {
  const Folder dir;
  dir.write("lexicon.txt", "go A B\nstop C2\nodd A X\n");
  dir.write("words", "u0 GO STOP\nu1 STOP\nu2\n");
  const SpeechFolder folder = dir.read_words();
  CHECK(folder.utterances[0].phones == Phones{1, 2, 3});
  CHECK(folder.utterances[1].phones == Phones{3});
  CHECK(folder.utterances[2].phones.empty());
  dir.write("words", "u0 go over\nu1 go under\nu2 over stop\n");
  const std::string expected =
      message((dir / "words").string(), ": 2 words are not in ", (dir / "lexicon.txt").string(),
              "; add them there:\n  over, 2 times, first in line 1\n  under, 1 time, first in "
              "line 2");
  CHECK_THROWS_WITH_AS(dir.read_words(), expected.c_str(), IoError);
  dir.write("words", "u0 odd\nu1 go\nu2 go\n");
  CHECK_THROWS_WITH_AS(dir.read_words(), doctest::Contains("lexicon.txt:3: X is not a phone of "),
                       IoError);
}

TEST_CASE("speech folder: AN4 and its lexicons") {
  const auto data = test::optional_data("data/speech/an4");
  if (data.empty()) return;
  const auto an4 = data / "data/speech/an4";
  const PhoneList phones(an4 / "phones.txt");
  CHECK(phones.size() == 40);
  const Lexicon own(an4 / "lexicon.txt"), cmudict(data / "data/speech/cmudict/cmudict.dict");
  std::set<std::int32_t> used;
  int differ = 0;
  const auto check = [&](const char* set, std::size_t utterances, std::size_t speakers,
                         std::size_t phone_count) {
    const SpeechFolder folder =
        read_speech_folder({.folder = an4 / set, .root = an4, .phones = &phones});
    CHECK(folder.utterances.size() == utterances);
    CHECK(folder.speakers.size() == speakers);
    // The transcripts were made of the words by the lexicon.
    const SpeechFolder words = read_speech_folder(
        {.folder = an4 / set, .root = an4, .text = "words", .phones = &phones, .lexicon = &own});
    std::size_t count = 0;
    for (std::size_t i = 0; i < utterances; ++i) {
      const Phones& spoken = folder.utterances[i].phones;
      differ += words.utterances[i].phones == spoken ? 0 : 1;
      count += spoken.size();
      used.insert(spoken.begin(), spoken.end());
    }
    CHECK(count == phone_count);
    CHECK_NOTHROW(read_speech_folder({.folder = an4 / set,
                                      .root = an4,
                                      .text = "words",
                                      .phones = &phones,
                                      .lexicon = &cmudict}));
  };
  check("train", 773, 60, 11551);
  check("valid", 96, 8, 1442);
  check("test", 130, 10, 2029);
  CHECK(used.size() == 33);
  CHECK(differ == 2);  // "and a half", where AN4's A is not the letter
}

}  // namespace
}  // namespace tarn::data
