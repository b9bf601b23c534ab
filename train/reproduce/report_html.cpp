// The page. Every text of the results passes through escaped().
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/check.h"
#include "core/io/file.h"
#include "train/reproduce/charts.h"
#include "train/reproduce/report_content.h"
#include "train/reproduce/report_formats.h"
#include "train/reproduce/report_style.h"
#include "train/run/status_line.h"

namespace tarn::train::reproduce {
namespace {

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\n':
      case '\t':
        out += ' ';
        break;
      default:
        // Other control characters may stand in no page.
        out += static_cast<unsigned char>(c) < ' ' || c == '\x7f' ? std::string("\uFFFD")
                                                                  : std::string(1, c);
    }
  }
  return out;
}

// <tag attributes>the text, escaped</tag>
std::string element(std::string_view tag, std::string_view text, std::string_view attributes = "") {
  return message("<", tag, attributes.empty() ? "" : " ", attributes, ">", escaped(text), "</", tag,
                 ">");
}

std::string base64(std::string_view bytes) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t bits = 0;
    for (std::size_t j = 0; j < 3; ++j) {
      bits = bits << 8 | (j < count ? static_cast<unsigned char>(bytes[i + j]) : 0U);
    }
    for (std::size_t j = 0; j < 4; ++j) {
      out += j <= count ? kDigits[bits >> (18 - 6 * j) & 63] : '=';
    }
  }
  return out;
}

// What the page calls an experiment: its name, as results.json has it, where a link can hold that.
std::string id_of(const ExperimentResult& experiment, std::size_t number) {
  constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyz0123456789-_";
  const std::string& name = experiment.name;
  const bool plain = !name.empty() && name.find_first_not_of(kPlain) == std::string::npos;
  return plain ? name : message("experiment-", number);
}

struct VerdictLook {
  const char* style;
  const char* sign;
};
VerdictLook look_of(Verdict verdict) {
  if (verdict == Verdict::holds) return {"holds", "✓"};
  if (verdict == Verdict::does_not_hold) return {"fails", "✗"};
  return {"open", "○"};
}

std::string missing(const std::string& text) {
  return element("p", text, "class=\"missing\"") + "\n";
}

// A wide table scrolls on its own, and by the keyboard too.
std::string scrolling(std::string_view table, std::string_view what, std::string_view experiment,
                      std::string_view style = "scroll") {
  return message("<div class=\"", style, "\" role=\"region\" tabindex=\"0\" aria-label=\"", what,
                 ": ", escaped(experiment), "\">\n", table, "</div>\n");
}

std::string results_html(const ExperimentResult& experiment) {
  if (experiment.rows.empty() || experiment.columns.empty()) return "";
  const Table table = results_table(experiment);
  std::string top, below, body;
  for (const Table::Group& group : table.groups) {
    top += element(
        "th", group.title,
        message("class=\"group\" scope=\"colgroup\" colspan=\"", group.columns.size(), "\""));
    for (const std::string& column : group.columns) {
      below += element("th", column,
                       message(&column == group.columns.data() ? "class=\"group-start\" " : "",
                               "scope=\"col\""));
    }
  }
  for (const Table::Row& row : table.rows) {
    body += message("<tr>", element("th", row.title, "scope=\"row\""));
    auto cell = row.cells.begin();
    for (const Table::Group& group : table.groups) {
      for (const std::string& column : group.columns) {
        const bool number = cell->find_first_of("0123456789") != std::string::npos;
        body += element("td", *cell++,
                        message("class=\"", column, number ? "" : " none",
                                &column == group.columns.data() ? " group-start" : "", "\""));
      }
    }
    body += "</tr>\n";
  }
  std::string out;
  if (!table.rows.empty()) {
    const std::string html =
        message("<table>\n<thead>\n<tr><th rowspan=\"2\"></th>", top, "</tr>\n<tr>", below,
                "</tr>\n</thead>\n<tbody>\n", body, "</tbody>\n</table>\n");
    out = message("<h3>Results</h3>\n", scrolling(html, "Results", experiment.title));
  }
  for (const std::string& note : table.notes) out += element("p", note, "class=\"notes\"") + "\n";
  return out;
}

std::string charts_html(const ExperimentResult& experiment, const std::string& id,
                        const std::vector<std::string>& methods) {
  if (experiment.charts.empty()) return "";
  std::string out = "<div class=\"figures\">\n";
  for (std::size_t i = 0; i < experiment.charts.size(); ++i) {
    const ChartResult& chart = experiment.charts[i];
    std::string svg = chart_svg(chart, experiment.rows, methods, message(id, "-chart", i + 1, "-"));
    if (svg.empty()) {
      svg = missing("no curve to draw");
    } else {
      svg.insert(svg.find(' '), message(" role=\"img\" aria-label=\"", escaped(chart.title), "\""));
    }
    out += message("<figure>\n<figcaption><b>", escaped(chart.title), "</b></figcaption>\n", svg,
                   "</figure>\n");
  }
  return out + "</div>\n";
}

std::string claims_html(const ExperimentResult& experiment) {
  if (experiment.claims.empty()) return "";
  std::string out = "<h3>The paper's claims</h3>\n<ul class=\"claims\">\n";
  for (const ClaimResult& claim : experiment.claims) {
    const VerdictLook look = look_of(claim.verdict);
    out += message("<li><p><span class=\"verdict ", look.style, "\">", look.sign, " ",
                   escaped(text_of(claim.verdict)), ":</span> ", escaped(claim.text));
    if (!claim.place.empty())
      out += message(" <span class=\"muted\">(", escaped(claim.place), ")</span>");
    out += message("</p>\n<p class=\"proof\">", element("code", claim.check));
    if (!claim.numbers.empty()) out += message(" where ", escaped(numbers_text(claim)));
    if (!claim.missing.empty()) out += message(" – ", escaped(claim.missing));
    out += "</p></li>\n";
  }
  return out + "</ul>\n";
}

// The picture in the page itself; or why it cannot be.
std::string picture_html(const PictureResult& picture, const std::filesystem::path& folder) {
  if (!picture.missing.empty()) return missing(message("no picture: ", picture.missing));
  const std::string ending = picture.file.extension().string();
  if (ending != ".png" && ending != ".svg") {
    return missing(message("no picture: ", picture.file.string(), " is neither PNG nor SVG"));
  }
  std::string bytes;
  try {
    bytes = read_file(folder / picture.file);
  } catch (const IoError&) {  // its message names a path of this machine
    return missing(message("no picture: ", picture.file.string(), " cannot be read"));
  }
  return message("<img alt=\"", escaped(picture.title), "\" src=\"data:image/",
                 ending == ".png" ? "png" : "svg+xml", ";base64,", base64(bytes), "\"/>\n");
}

std::string pictures_html(const ExperimentResult& experiment, const std::filesystem::path& folder) {
  if (experiment.pictures.empty()) return "";
  std::string out = "<h3>Pictures</h3>\n<div class=\"figures\">\n";
  for (const PictureResult& picture : experiment.pictures) {
    out += message("<figure>\n<figcaption><b>", escaped(picture.title), "</b> ",
                   escaped(picture.caption), "</figcaption>\n", picture_html(picture, folder),
                   "</figure>\n");
  }
  return out + "</div>\n";
}

std::string runs_html(const ExperimentResult& experiment) {
  std::string body;
  for (const RowResult& row : experiment.rows) {
    if (row.config.empty()) continue;
    std::string set;
    for (const std::string& change : row.set) set += element("code", change);
    body += message(
        "<tr>", element("th", row.title, "scope=\"row\""), "<td>", element("code", row.config),
        "</td><td>", set.empty() ? "–" : set, "</td><td>",
        element("code", row.config_hash.substr(0, kHashDigits)), "</td>",
        element("td", row.seconds == 0 ? "–" : duration_text(row.seconds), "class=\"nowrap\""),
        "</tr>\n");
  }
  if (body.empty()) return "";
  const std::string html = message("<table>\n<thead>\n<tr><th></th><th scope=\"col\">Config</th>",
                                   "<th scope=\"col\">Changed in it</th><th "
                                   "scope=\"col\">Hash</th><th scope=\"col\">Training</th>",
                                   "</tr>\n</thead>\n<tbody>\n", body, "</tbody>\n</table>\n");
  return message("<h3>Runs</h3>\n", scrolling(html, "Runs", experiment.title, "scroll runs"));
}

std::string experiment_html(const ExperimentResult& experiment, const std::string& id,
                            const std::vector<std::string>& methods,
                            const std::filesystem::path& folder) {
  const std::string time =
      experiment.seconds == 0 ? "" : message(" · took ", duration_text(experiment.seconds));
  std::string out = message("<section id=\"", id, "\">\n",
                            element("p", experiment.place + time, "class=\"place\""), "\n",
                            element("h2", experiment.title), "\n");
  if (!experiment.about.empty()) out += element("p", experiment.about) + "\n";
  if (!experiment.missing.empty()) out += missing(message("Missing: ", experiment.missing));
  return out + charts_html(experiment, id, methods) + results_html(experiment) +
         claims_html(experiment) + pictures_html(experiment, folder) + runs_html(experiment) +
         "</section>\n";
}

std::string summary_html(const Results& results) {
  const VerdictCounts counts = count_verdicts(results.experiments);
  std::string out = "<ul class=\"counts\">\n";
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] == 0) continue;
    out += message("<li class=\"", look_of(kVerdicts[i]).style, "\"><b>", counts[i], "</b> ",
                   text_of(kVerdicts[i], counts[i]), "</li>\n");
  }
  return out + "</ul>\n";
}

std::string contents_html(const Results& results) {
  std::string out = "<nav aria-label=\"Experiments\">\n<ol>\n";
  for (std::size_t i = 0; i < results.experiments.size(); ++i) {
    const ExperimentResult& experiment = results.experiments[i];
    out += message("<li>", element("span", experiment.place, "class=\"muted\""), " <a href=\"#",
                   id_of(experiment, i + 1), "\">", escaped(experiment.title),
                   "</a> <span class=\"verdicts\">");
    const VerdictCounts counts = count_verdicts({&experiment, 1});
    for (std::size_t j = 0; j < counts.size(); ++j) {
      if (counts[j] == 0) continue;
      const VerdictLook look = look_of(kVerdicts[j]);
      out += message("<span class=\"", look.style, "\">", look.sign, " ", counts[j], " ",
                     text_of(kVerdicts[j], counts[j]), "</span> ");
    }
    out += "</span></li>\n";
  }
  return out + "</ol>\n</nav>\n";
}

std::string machine_html(const Results& results) {
  double seconds = 0;
  for (const ExperimentResult& experiment : results.experiments) seconds += experiment.seconds;
  auto facts = facts_of(results.machine);
  if (seconds != 0) facts.emplace_back("Time of all experiments", duration_text(seconds));
  std::string out = "<section id=\"machine\">\n<h2>Machine and program</h2>\n<dl>\n";
  for (const auto& [name, value] : facts) {
    out += message(element("dt", name), element("dd", value), "\n");
  }
  return out + "</dl>\n</section>\n";
}

}  // namespace

std::string to_html(const Results& results, const std::filesystem::path& folder) {
  std::string out = message(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
      "<title>Transformers are RNNs, reproduced</title>\n<style>",
      kStyle, "</style>\n</head>\n<body>\n<header>\n<h1>Transformers are RNNs, reproduced</h1>\n",
      "<p>What tarn measured beside what the paper says: A. Katharopoulos, A. Vyas, N. Pappas, "
      "F. Fleuret, <cite>Transformers are RNNs: Fast Autoregressive Transformers with Linear "
      "Attention</cite>, ICML 2020.</p>\n",
      "<p class=\"muted\">Scale “", escaped(results.scale), "” on <a href=\"#machine\">",
      escaped(results.machine.processor), "</a>. Of the paper's claims:</p>\n",
      summary_html(results), contents_html(results), "</header>\n<main>\n");
  const std::vector<std::string> methods = methods_of(results);
  for (std::size_t i = 0; i < results.experiments.size(); ++i) {
    const ExperimentResult& experiment = results.experiments[i];
    out += experiment_html(experiment, id_of(experiment, i + 1), methods, folder);
  }
  return out + machine_html(results) + "</main>\n</body>\n</html>\n";
}

}  // namespace tarn::train::reproduce
