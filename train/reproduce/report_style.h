// The style sheet of the report's page: for a phone, a screen, the dark, and paper.
#pragma once

#include <string_view>

namespace tarn::train::reproduce {

inline constexpr std::string_view kStyle = R"(
:root {
  color-scheme: light dark;
  --text: #1d2125; --muted: #5b636b; --line: #dcdfe3; --back: #ffffff; --card: #f5f6f8;
  --link: #0062a0; --holds: #006b4c; --fails: #ad3c00; --open: #5b636b;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --text: #e6e8ea; --muted: #a5adb5; --line: #3b4148; --back: #15181b; --card: #1e2226;
    --link: #7cc0f2; --holds: #4fd1a5; --fails: #ff9b5c; --open: #a5adb5;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body {
  margin: 0 auto; padding: 1.5rem 1rem 3rem; max-width: 62rem;
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  color: var(--text); background: var(--back); overflow-wrap: break-word;
}
h1, h2, h3 { line-height: 1.25; text-wrap: balance; }
h1 { font-size: 1.9rem; margin: 0 0 .5rem; }
h2 { font-size: 1.4rem; margin: 0; }
h3 { font-size: 1.05rem; margin: 2rem 0 .6rem; }
p { margin: .5rem 0; max-width: 44rem; }
a { color: var(--link); text-decoration-thickness: 1px; text-underline-offset: .15em; }
code { font: .875em/1.5 ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; }
ul, ol { margin: 0; padding: 0; list-style: none; }
.muted, .place, .notes, figcaption { color: var(--muted); font-size: .9rem; }

.counts { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .75rem;
  margin: 1.25rem 0; }
.counts li { padding: .6rem .9rem; background: var(--card); border-left: .25rem solid; }
.counts b { display: block; font-size: 1.7rem; line-height: 1.2; font-variant-numeric: tabular-nums; }
.holds { color: var(--holds); } .fails { color: var(--fails); } .open { color: var(--open); }

nav { margin: 1.5rem 0 0; border-top: 1px solid var(--line); }
nav li { display: grid; grid-template-columns: 9rem 1fr auto; gap: 0 1rem; align-items: baseline;
  padding: .45rem 0; border-bottom: 1px solid var(--line); }
.verdicts { font-size: .9rem; text-align: right; } .verdicts span { margin-left: .8rem; }

section { margin-top: 3.25rem; padding-top: 1.25rem; border-top: 3px solid var(--text); }
.place { margin: 0; }
.missing { padding: .6rem .9rem; background: var(--card); border-left: .25rem solid var(--open); }

.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr));
  gap: 1.5rem; margin-top: 1.25rem; }
figure { margin: 0; min-width: 0; max-width: 31rem; }
figure svg { display: block; width: 100%; height: auto; }
figure img { display: block; max-width: 100%; min-width: min(100%, 18rem); height: auto;
  background: #fff; image-rendering: pixelated; }
figcaption { margin-bottom: .4rem; } figcaption b { color: var(--text); }

.scroll { overflow-x: auto; margin: .5rem 0; }
.scroll:focus-visible { outline: 2px solid var(--link); }
table { border-collapse: collapse; font-size: .94rem; font-variant-numeric: tabular-nums; }
th, td { padding: .4rem .8rem; text-align: right; vertical-align: baseline;
  border-bottom: 1px solid var(--line); }
thead th { font-weight: 600; vertical-align: bottom; border-bottom-color: var(--muted); }
thead th.group { text-align: center; border-bottom-color: var(--line); min-width: 9rem; }
thead tr:last-child th { font-weight: 400; font-size: .85rem; color: var(--muted); }
tbody th, thead tr:first-child th:first-child { text-align: left; position: sticky; left: 0;
  background: var(--back); }
tbody th { font-weight: 400; min-width: 7.5rem; max-width: 15rem; padding-left: 0; }
td { white-space: nowrap; } td.paper { color: var(--muted); } td.tarn { font-weight: 600; }
td.none { font-weight: 400; color: var(--muted); }
.group-start { padding-left: 1.6rem; }
.notes { margin: .3rem 0; }
.runs table { font-size: .85rem; } .runs td { text-align: left; white-space: normal; }
.runs thead th { text-align: left; color: var(--muted); font-weight: 400; font-size: .85rem; }
.runs td code { display: block; } .runs td.nowrap { white-space: nowrap; }

.claims li { padding: .7rem 0 .7rem; border-top: 1px solid var(--line); }
.claims li:last-child { border-bottom: 1px solid var(--line); }
.claims p { margin: 0; } .claims .verdict { font-weight: 700; }
.claims .proof { margin-top: .2rem; color: var(--muted); font-size: .9rem; }
.claims .proof code { color: var(--text); }

dl { display: grid; grid-template-columns: fit-content(45%) minmax(0, 1fr); gap: .2rem 1.2rem; margin: .75rem 0; }
dt { color: var(--muted); } dd { margin: 0; }

@media (max-width: 34rem) {
  h1 { font-size: 1.55rem; }
  .counts { grid-template-columns: 1fr 1fr; }
  nav li { grid-template-columns: 1fr; padding: .6rem 0; }
  .verdicts { text-align: left; } .verdicts span { margin: 0 .8rem 0 0; }
  th, td { padding: .4rem .55rem; }
  .group-start { padding-left: 1rem; }
  tbody th { max-width: 8.5rem; }
}
@media print {
  @page { margin: 16mm 14mm; }
  html { font-size: 9.5pt; } body { padding: 0; max-width: none; }
  a { color: inherit; text-decoration: none; }
  .scroll { overflow: visible; } section { margin-top: 2rem; }
  th, td { padding: .25rem .45rem; } tbody th, thead th { position: static; }
  thead th.group { min-width: 0; }
  h2, h3, .place, figcaption { break-after: avoid; }
  figure, table, dl, .claims li, .counts { break-inside: avoid; }
  .counts li, .missing { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  .figures { grid-template-columns: 1fr 1fr; }
}
)";

}  // namespace tarn::train::reproduce
