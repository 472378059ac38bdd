// The masthead: the hour switch (light and dark) and the menu on narrow screens.
(function () {
  "use strict";
  var root = document.documentElement;
  var dark = window.matchMedia("(prefers-color-scheme: dark)");
  var hour = document.querySelector(".hour");
  var burger = document.querySelector(".burger");
  var nav = document.querySelector(".nav");

  function currentHour() {
    return root.dataset.hour || (dark.matches ? "night" : "noon");
  }

  // Pictures with a night version follow the switch, not only the system setting.
  function showHour(value) {
    root.dataset.hour = value;
    hour.setAttribute("aria-pressed", String(value === "night"));
    hour.querySelector("span").textContent = value === "night" ? "Blue hour" : "Noon";
    document.querySelectorAll("source[data-night]").forEach(function (source) {
      source.media = value === "night" ? "all" : "not all";
    });
  }

  showHour(currentHour());

  hour.addEventListener("click", function () {
    var next = currentHour() === "night" ? "noon" : "night";
    showHour(next);
    try {
      localStorage.setItem("hour", next);
    } catch {
      // Storage may be closed to us; the choice then lasts for this page.
    }
  });

  function setMenu(open) {
    nav.classList.toggle("open", open);
    burger.setAttribute("aria-expanded", String(open));
    burger.textContent = open ? "Close" : "Menu";
  }

  burger.addEventListener("click", function () {
    setMenu(burger.getAttribute("aria-expanded") !== "true");
  });

  document.addEventListener("keydown", function (event) {
    if (event.key === "Escape" && nav.classList.contains("open")) {
      setMenu(false);
      burger.focus();
    }
  });
})();
