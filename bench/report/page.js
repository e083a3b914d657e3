// Libraries show the tables and the chart; this script copies commands and opens details.
const dark = window.matchMedia("(prefers-color-scheme: dark)");

document.addEventListener("click", (event) => {
  const button = event.target.closest("button.copy");
  if (!button) return;
  const text = document.getElementById(button.dataset.code).textContent;
  const show = (word) => {
    button.textContent = word;
    setTimeout(() => { button.textContent = "copy"; }, 1500);
  };
  const selected = () => {
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  };
  if (!navigator.clipboard) { show(selected() ? "copied" : "not copied"); return; }
  navigator.clipboard.writeText(text).then(
    () => show("copied"),
    () => show(selected() ? "copied" : "not copied"),
  );
});

function reveal() {
  const target = location.hash && document.getElementById(location.hash.slice(1));
  if (target && target.tagName === "DETAILS") { target.open = true; target.scrollIntoView(); }
}
window.addEventListener("hashchange", reveal);
reveal();

for (const table of document.querySelectorAll("table.sortable")) {
  const filters = [...table.tHead.rows[0].cells].flatMap(
    (cell, index) => (cell.classList.contains("filter") ? [index] : []));
  new DataTable(table, {
    paging: false, info: false, order: [], autoWidth: false,
    layout: { topStart: table.classList.contains("search") ? "search" : null, topEnd: null,
      bottomStart: null, bottomEnd: null },
    columnControl: [],
    ordering: { indicators: false, handler: true },
    columnDefs: [{ targets: filters, columnControl: [["searchList"]] }],
  });
}

const markCut = () => {
  for (const box of document.querySelectorAll(".wide")) {
    const parts = [box, ...box.querySelectorAll("div")];
    box.classList.toggle("cut", parts.some((part) => part.scrollWidth > part.clientWidth + 1));
  }
};
window.addEventListener("resize", markCut);
markCut();

const data = document.getElementById("chart-data");
if (data) {
  const draw = () => vegaEmbed("#chart", JSON.parse(data.textContent),
    { actions: false, renderer: "svg", theme: dark.matches ? "dark" : undefined });
  requestAnimationFrame(() => setTimeout(draw));
  dark.addEventListener("change", draw);
}
