#!/usr/bin/env python3
"""Makes fbank.safetensors and its two FLAC files, from one utterance of AN4.

usage: make_fbank.py AN4/flac/fcaw/an409-fcaw-b.flac
needs: pip install kaldi-native-fbank numpy safetensors soundfile
"""
import pathlib
import sys

import kaldi_native_fbank
import numpy as np
import soundfile
from safetensors.numpy import save_file

HERE = pathlib.Path(__file__).resolve().parent


def half_rate(samples):
    """Every second sample, behind a low-pass filter."""
    n = np.arange(-32, 33)
    taps = np.sinc(n / 2) / 2 * np.hamming(len(n))
    return np.round(np.convolve(samples, taps, mode="same")[::2]).astype(np.int16)


def fbank(samples, rate, bins=40, low=20.0, high=0.0):
    """Features of 16-bit samples, by kaldi-native-fbank with Kaldi's defaults and no dither."""
    options = kaldi_native_fbank.FbankOptions()
    options.frame_opts.samp_freq = rate
    options.frame_opts.dither = 0
    options.frame_opts.snip_edges = True
    options.mel_opts.num_bins = bins
    options.mel_opts.low_freq = low
    options.mel_opts.high_freq = high
    computer = kaldi_native_fbank.OnlineFbank(options)
    computer.accept_waveform(rate, samples.astype(np.float32).tolist())
    computer.input_finished()
    return np.stack([computer.get_frame(i) for i in range(computer.num_frames_ready)])


def main():
    wide, rate = soundfile.read(sys.argv[1], dtype="int16")
    assert rate == 16000
    narrow = half_rate(wide.astype(np.float64))
    soundfile.write(HERE / "an4_16k.flac", wide, 16000)
    soundfile.write(HERE / "an4_8k.flac", narrow, 8000)
    save_file({
        "16k": fbank(wide, 16000),
        "8k": fbank(narrow, 8000),
        "16k_80_bins_60_to_7800": fbank(wide, 16000, 80, 60, -200),
        "as_11025": fbank(wide, 11025),  # the same samples, taken for another rate: odd windows
        "as_44100": fbank(wide, 44100, 23, 0, 20000),
    }, HERE / "fbank.safetensors", {
        "made_by": "make_fbank.py, kaldi-native-fbank " + kaldi_native_fbank.__version__,
        "audio": "AN4 " + pathlib.Path(sys.argv[1]).name,
    })


if __name__ == "__main__":
    main()
