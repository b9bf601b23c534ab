// What may be wrong with speech, its config and its files: exit code 2, and what to mend.
#include "tests/train/tiny_speech.h"

namespace tarn::test {
namespace {

namespace fs = std::filesystem;

void check_settings(const TinySpeech& speech, const Arguments& settings,
                    const std::vector<std::string>& parts) {
  check_refused(speech.runs().train("run", settings), parts);
  CHECK_FALSE(fs::exists(speech / "run"));
}

TEST_CASE("speech errors: settings that do not fit") {
  const TinySpeech speech;
  check_settings(speech, {"task.data="}, {"task.data is empty", "--set task.data=FOLDER"});
  check_settings(speech, {"speech.phones=none.txt"}, {"none.txt"});
  check_settings(speech, {"speech.train=none"}, {"none/wav.scp"});
  check_settings(speech, {"speech.text=words"}, {"train/words"});
  check_settings(speech, {"model.attention=causal-linear"},
                 {"model.attention is \"causal-linear\"", "linear, full or lsh for speech"});
  check_settings(speech, {"task.kind=copy", "model.attention=full", "model.kind=bilstm"},
                 {"model.kind is \"bilstm\"", "needs a transformer"});
  check_settings(speech, {"speech.sample_rate=16000"}, {"train/wav.scp:1: ", "8000", "16000"});
  check_settings(speech, {"speech.max_frames=50"},
                 {"train/wav.scp:", " positions; speech.max_frames is 50", "raise it"});
  check_settings(speech, {"speech.normalisation=global"}, {"none, utterance, speaker"});
}

TEST_CASE("speech errors: the LSTM knows no most positions") {
  const TinySpeech speech;
  run_ok(speech.runs().train("run", {"speech.max_frames=1", "model.kind=bilstm", "train.steps=5"}));
}

TEST_CASE("speech errors: files that are wrong, with their line") {
  const TinySpeech speech;
  const fs::path train = speech.data() / "train";
  const std::string scp = read_file(train / "wav.scp"), text = read_file(train / "text");
  write_text(train / "text", message("u0 A B X\n", text.substr(text.find('\n') + 1)));
  check_settings(speech, {}, {"train/text:1: ", "X"});
  write_text(train / "text", text);
  write_text(train / "wav.scp", message("u0 sox u0.flac |\n", scp.substr(scp.find('\n') + 1)));
  check_settings(speech, {}, {"train/wav.scp:1: "});
  write_text(train / "wav.scp", scp);
  write_audio(speech.data() / "u0.flac",
              {.samples = made_samples(8000, 1), .sample_rate = 8000, .channels = 2});
  check_settings(speech, {}, {"u0.flac", "channel"});
}

// Three phones in one frame.
TEST_CASE("speech errors: an utterance of too few frames is named, and skipped or refused") {
  const TinySpeech speech;
  write_audio(speech.data() / "u0.flac",
              {.samples = made_samples(200, 1), .sample_rate = 8000, .format = AudioFormat::flac});
  check_settings(speech, {"speech.infeasible=error"},
                 {"train/wav.scp:1: u0", "3 phones need 3 positions", "has 1"});
  const Outcome outcome = run_ok(speech.runs().train("run"));
  CHECK(contains(outcome.err, "1 of 9 utterances are left out of the loss"));
  CHECK(contains(outcome.err, "train/wav.scp:1: u0"));
  CHECK_FALSE(contains(log_of(speech / "run"), "null"));
}

TEST_CASE("speech errors: too few frames in most utterances are one note, in all an error") {
  const TinySpeech speech;
  for (int u = 0; u < 5; ++u) {
    write_audio(
        speech.data() / message("u", u, ".flac"),
        {.samples = made_samples(200, 1), .sample_rate = 8000, .format = AudioFormat::flac});
  }
  const Outcome most = run_ok(speech.runs().train("most", {"train.steps=5"}));
  CHECK(contains(most.err, "5 of 9 utterances are left out of the loss"));
  CHECK(contains(most.err, "and 2 more\n"));
  CHECK_FALSE(contains(log_of(speech / "most"), "null"));
  check_settings(speech, {"speech.stack=60"},
                 {"nothing can be learnt", "lower speech.stack", "and 6 more"});
}

TEST_CASE("speech errors: transcribe") {
  const TinySpeech speech;
  run_ok(speech.runs().train("run", {"train.steps=5"}));
  const std::string run = speech / "run";
  check_refused({"transcribe", run}, {"AUDIO is missing"});
  check_refused({"transcribe", run, speech / "none.wav"}, {"no audio file or folder", "none.wav"});
  fs::create_directory(speech / "empty");
  check_refused({"transcribe", run, speech / "empty"}, {"holds no audio", "wav.scp"});
  write_text(speech / "text.wav", "no audio");
  check_refused({"transcribe", run, speech / "text.wav"}, {"text.wav"});
  write_audio(speech / "rate.wav", {.samples = made_samples(1600, 1), .sample_rate = 16000});
  check_refused({"transcribe", run, speech / "rate.wav"}, {"rate.wav", "16000", "8000"});
  write_audio(speech / "long.wav", {.samples = made_samples(16000, 1), .sample_rate = 8000});
  check_refused({"transcribe", run, speech / "long.wav"}, {"long.wav", "speech.max_frames is 100"});
  check_refused({"transcribe", run, speech.data() / "u0.flac", "--beam", "0"}, {"--beam"});
  const TinyRuns copy;
  run_ok(copy.train("run", {"train.steps=1"}));
  check_refused({"transcribe", copy / "run", speech.data() / "u0.flac"},
                {"task.kind is \"copy\"", "needs a model of speech"});
}

}  // namespace
}  // namespace tarn::test
