// `tarn data` of folders of speech.
#include <cstdio>
#include <optional>

#include "core/check.h"
#include "core/io/file.h"
#include "data/speech/summary.h"
#include "train/program/commands.h"

namespace tarn::train {
namespace {

namespace fs = std::filesystem;

// One folder, and what was found in it.
struct Set {
  data::SpeechFolder folder;
  data::SpeechSummary summary;
};

void print_set(const Set& set, const std::string& text) {
  const data::SpeechSummary& s = set.summary;
  const auto seconds = [&](std::int64_t samples) {
    return static_cast<double>(samples) / static_cast<double>(s.sample_rate);
  };
  const double all = seconds(s.total_samples);
  std::printf("%s: %zu utterances of %zu speakers, %.3f hours (%.0f s) at %lld Hz\n",
              set.folder.folder.c_str(), s.samples.size(), set.folder.speakers.size(), all / 3600,
              all, static_cast<long long>(s.sample_rate));
  std::printf("  seconds an utterance  %.2f to %.2f, median %.2f\n", seconds(s.samples.front()),
              seconds(s.samples.back()), seconds(s.samples[s.samples.size() / 2]));
  if (!text.empty()) {
    std::printf("  phones an utterance   %lld to %lld, %lld in all; %.1f a second at most\n",
                static_cast<long long>(s.fewest_phones), static_cast<long long>(s.most_phones),
                static_cast<long long>(s.total_phones), s.most_phones_a_second);
  }
  std::printf("  crc32");
  for (const std::string& file : {std::string("wav.scp"), std::string("utt2spk"), text}) {
    if (file.empty()) continue;
    std::printf(" %s %08x,", file.c_str(),
                static_cast<unsigned>(crc32_of_file(set.folder.folder / file)));
  }
  std::printf(" audio %08x\n\n", static_cast<unsigned>(s.audio_crc32));
}

// A column for each set; phones that never come are named below.
void print_phones(const std::vector<Set>& sets, const data::PhoneList& phones) {
  std::printf("phone   ");
  for (const Set& set : sets) std::printf(" %9s", set.folder.folder.filename().c_str());
  std::printf("\n");
  std::string unused;
  for (std::int32_t phone = 1; phone < phones.size(); ++phone) {
    std::string row;
    std::int64_t all = 0;
    for (const Set& set : sets) {
      const std::int64_t count = set.summary.phones[static_cast<std::size_t>(phone)];
      char cell[32];
      std::snprintf(cell, sizeof cell, " %9lld", static_cast<long long>(count));
      row += cell;
      all += count;
    }
    if (all == 0) {
      unused += message(" ", phones.name(phone));
    } else {
      std::printf("%-8s%s\n", phones.name(phone).c_str(), row.c_str());
    }
  }
  if (!unused.empty()) std::printf("never   %s\n", unused.c_str());
}

// As given; else the list in the folder, or beside it.
fs::path phones_file(const DataCommand& command) {
  if (!command.speech.phones.empty()) return command.speech.phones;
  const fs::path folder = fs::absolute(command.folder).lexically_normal();
  const fs::path above = (folder / ".." / "phones.txt").lexically_normal();
  return !fs::exists(folder / "phones.txt") && fs::exists(above) ? above
                                                                 : command.folder / "phones.txt";
}

}  // namespace

bool describe_speech(const DataCommand& command) {
  const std::vector<fs::path> folders = data::find_speech_folders(command.folder);
  if (folders.empty()) return false;
  const SpeechDataOptions& options = command.speech;
  std::optional<data::PhoneList> phones;
  std::optional<data::Lexicon> lexicon;
  if (!options.text.empty()) phones.emplace(phones_file(command));
  if (!options.lexicon.empty()) lexicon.emplace(options.lexicon);
  std::vector<Set> sets;
  for (const fs::path& folder : folders) {
    Set& set = sets.emplace_back();
    set.folder = data::read_speech_folder(
        {.folder = folder,
         .root = options.root.empty() ? command.folder : fs::path(options.root),
         .text = options.text,
         .phones = phones ? &*phones : nullptr,
         .lexicon = lexicon ? &*lexicon : nullptr});
    set.summary = data::summarise(set.folder, phones ? phones->size() : 0, options.channel);
    print_set(set, options.text);
  }
  if (phones) print_phones(sets, *phones);
  return true;
}

}  // namespace tarn::train
