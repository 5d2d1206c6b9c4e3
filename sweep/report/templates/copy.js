// Tables as text, in the forms of sweep/report/tables/markup.py, and the clipboard.

const oneLine = text => [...text].map(c => /[\p{C}\p{Zl}\p{Zp}]/u.test(c) ? " " : c).join("");

const csvField = text => /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;

function escapeMarkdown(text) {
  return oneLine(text)
    .replace(/([\\`*|~$])/g, "\\$1")
    .replace(/(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])/g, "\\_")
    .replace(/\](?=[([:])/g, "\\]")
    .replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

function escapeLatex(text) {
  const escaped = [...oneLine(text)].map(c => DATA.latex[c] ?? c).join("").replaceAll("--", "-{}-");
  return escaped.replace(/(?<![\p{L}\p{N}_-])-(?=\d)/gu, "$-$");
}

/** Name → function of a heading, of rows of texts, and of which columns are numbers. */
const FORMATS = {
  CSV: (head, rows) => [head, ...rows].map(row => row.map(csvField).join(",")).join("\n") + "\n",
  Markdown: (head, rows, numeric) => [head, numeric.map(right => right ? "--:" : "---"), ...rows]
    .map((row, at) => `| ${row.map(text => at === 1 ? text : escapeMarkdown(text)).join(" | ")} |`)
    .join("\n") + "\n",
  LaTeX: (head, rows, numeric) => {
    const line = row => row.map(escapeLatex).join(" & ") + " \\\\";
    const columns = numeric.map(right => right ? "r" : "l").join("");
    return ["% Needs the package booktabs, and UTF-8 input.", `\\begin{tabular}{@{}${columns}@{}}`,
      "\\toprule", line(head), "\\midrule", ...rows.map(line), "\\bottomrule", "\\end{tabular}"]
      .join("\n") + "\n";
  },
};

/** Put text on the clipboard, and say so on the button that was pressed. */
async function copyText(text, pressed) {
  let done = true;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    done = copyFromField(text);  // a page from disk may not be given the clipboard
  }
  const before = pressed.dataset.label ??= pressed.textContent;
  pressed.textContent = done ? "Copied" : "Not copied";
  announce(done ? `Copied as ${before}` : "The browser did not allow copying");
  setTimeout(() => { pressed.textContent = before; }, 1500);
}

/** The older way to copy, from a selected field. */
function copyFromField(text) {
  const field = html("textarea", { class: "unseen", "aria-hidden": "true" });
  field.value = text;
  document.body.append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  return done;
}

/** A button to copy beside each text that is worth it. */
function offerCopies() {
  for (const place of document.querySelectorAll(".document"))
    place.prepend(button("Copy", event =>
      copyText(place.querySelector("pre").textContent, event.currentTarget), { class: "copy" }));
}
