// A run's log as TensorBoard reads it: a file of records (TFRecord), each the protocol buffer
// `Event` with a summary of scalars. Both formats are written by hand, being small.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "core/io/file.h"
#include "train/run/run_log.h"

namespace tarn::train {

// CRC-32C (Castagnoli's polynomial), and the form that records have it in, masked, so that a
// checksum over bytes that hold checksums is not one of the usual values.
std::uint32_t crc32c_of(std::string_view bytes);
std::uint32_t masked_crc32c_of(std::string_view bytes);

// The content of an event file. Tags: train/loss and others of a training line, lr,
// evaluation/loss, timing/tokens_per_s. A line whose time is not known gets that of the one before
// it, or else of the first that has one, or else now.
std::string event_file_text(std::span<const LogLine> log);

// Writes the log as an event file into the folder, which is made. The folder must be absent or
// empty, or TensorBoard would show as one what is in it and this.
void export_events(const std::filesystem::path& folder, std::span<const LogLine> log);

// The event file of a run that trains.
class EventFile {
 public:
  // Replaces what the run wrote here before by a new file of the log so far. Its name is a later
  // one, so that an open TensorBoard goes on to it (that of --load_fast=false has to be started
  // again).
  EventFile(const std::filesystem::path& folder, std::span<const LogLine> log);

  void append(const LogLine& line);

 private:
  std::unique_ptr<AppendFile> file_;
};

}  // namespace tarn::train
