// Tabs: without this script the sections follow each other, and the tabs are links to them.

/** Turn the links to sections into tabs, as the ARIA Authoring Practices describe them. */
function makeTabs() {
  const list = document.querySelector("nav.tabs");
  if (!list) return;
  const tabs = [...list.querySelectorAll("a")];
  const panels = tabs.map(tab => byId(tab.getAttribute("href").slice(1)));
  list.setAttribute("role", "tablist");
  tabs.forEach((tab, at) => {
    fill(tab, { role: "tab", id: `of-${panels[at].id}`, "aria-controls": panels[at].id }, []);
    fill(panels[at], { role: "tabpanel", "aria-labelledby": tab.id }, []);
    panels[at].removeAttribute("aria-label");
    tab.addEventListener("click", event => { event.preventDefault(); show(at); });
    tab.addEventListener("keydown", event => {
      const next = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
      if (event.key === " ") show(at);
      else if (next !== undefined) show((next + tabs.length) % tabs.length, true);
      else return;
      event.preventDefault();
    });
  });

  function show(chosen, focus = false) {
    tabs.forEach((tab, at) => {
      tab.setAttribute("aria-selected", String(at === chosen));
      tab.tabIndex = at === chosen ? 0 : -1;
      panels[at].classList.toggle("closed", at !== chosen);
    });
    if (focus) tabs[chosen].focus();
  }

  /** Open the tab that a link of the page leads into. */
  function follow() {
    const wanted = location.hash.length > 1 && byId(decodeURIComponent(location.hash.slice(1)));
    const at = wanted ? panels.findIndex(panel => panel.contains(wanted)) : -1;
    if (at >= 0) { show(at); wanted.scrollIntoView(); }
    if (wanted instanceof HTMLDetailsElement) wanted.open = true;
  }

  show(0);
  window.addEventListener("hashchange", follow);
  follow();
}
