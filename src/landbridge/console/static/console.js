// What the pages do beyond HTML; without it they can still be read and forms still be sent.
"use strict";

(() => {
  const content = () => document.getElementById("content");
  const dialog = () => document.getElementById("dialog");
  const say = (text) => { document.getElementById("said").textContent = text; };

  // Times in the reader's own zone, with the zone's name; written as ISO has it.
  const clock = new Intl.DateTimeFormat("sv-SE", {
    year: "numeric", month: "2-digit", day: "2-digit",
    hour: "2-digit", minute: "2-digit", second: "2-digit", timeZoneName: "short",
  });
  const localize = (root) => root.querySelectorAll("time[datetime]").forEach((each) => {
    each.title = each.textContent;
    each.textContent = clock.format(new Date(each.dateTime));
  });

  // That a page does not show how things are: to be seen, and heard once.
  const LOST = "Connection lost, trying again";
  const away = (words) => {
    const bar = document.querySelector(".bar");
    document.body.classList.toggle("away", words === LOST);
    document.body.classList.toggle("stale", words !== "" && words !== LOST);
    if (!bar || (bar.dataset.away ?? "") === words) return;
    bar.dataset.away = words;
    say(words);
  };
  // Whether the service answers, which the page says. Pages that are not kept up to date look now
  // and then.
  const answers = async () => {
    const there = await fetch("/healthz", { method: "HEAD", cache: "no-store" })
      .then((answer) => answer.ok, () => false);
    if (!there || document.body.classList.contains("away")) away(there ? "" : LOST);
    return there;
  };
  const look = async () => {
    if (!stream && !document.hidden) await answers();
    setTimeout(look, 5000);
  };

  // A form is not sent into nothing: the browser would leave the page, and what was typed. Whether
  // the service answers is known before a button that goes down has come up.
  document.addEventListener("submit", async (event) => {
    if (!document.body.classList.contains("away")) return;
    const { target, submitter } = event;
    event.preventDefault();
    event.stopPropagation();
    if (await answers()) target.requestSubmit(submitter);
    else say("The service does not answer; nothing was sent.");
  }, true);
  let pressed = null;
  document.addEventListener("pointerdown", (event) => {
    pressed = event.target;
    if (event.target.closest("form button")) answers();
  });

  // What leaves the page is sent once. The button that was pressed is part of it, so it is disabled
  // afterwards; a page that the browser had kept is loaded anew.
  document.addEventListener("submit", (event) => {
    if (event.defaultPrevented) return;
    const { target } = event;
    if (target.dataset.sent) { event.preventDefault(); return; }
    target.dataset.sent = "1";
    setTimeout(() => target.querySelectorAll("button").forEach((each) => { each.disabled = true; }));
  });
  window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

  // A field that only counts while another has a certain value.
  const arrange = (form) => form.querySelectorAll("[data-only-if]").forEach((each) => {
    const [name, wanted] = each.dataset.onlyIf.split("=");
    const found = new FormData(form).get(name) ?? "";
    const counts = wanted.split("|").includes(found);
    each.hidden = !counts;
    each.querySelectorAll("input, select, textarea").forEach((one) => { one.disabled = !counts; });
  });

  // A field on which the choices of others depend: the form is asked for again, with what was
  // chosen so far in the address. Forms that only ask are sent.
  let turn = 0;
  const again = async (form) => {
    if (form.method === "get") { form.requestSubmit(); return; }
    const sent = new FormData(form);
    const given = new URLSearchParams(sent);
    [...given.keys()].filter((name) => name.startsWith("form_")).forEach((name) => given.delete(name));
    form.querySelectorAll("input[type=password]").forEach((each) => given.delete(each.name));
    const address = `${form.action.split("?")[0]}?${given}`;
    const part = form.closest("dialog");
    const mine = turn += 1;
    const headers = part ? { "HX-Request": "true" } : {};
    const answer = await fetch(address, { headers }).catch(() => null);
    if (!answer) { answers(); return; }
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (mine !== turn) return;  // something else was chosen meanwhile
    const found = fresh.querySelector(`form#${form.id}`);
    if (!answer.ok || !found) { location.href = address; return; }
    const now = new FormData(form);
    found.querySelectorAll("input:not([type=hidden], [type=radio], [type=checkbox])").forEach((each) => {
      const { name } = each;  // typed while the answer was under way
      if (now.has(name) && now.get(name) !== sent.get(name)) each.setAttribute("value", now.get(name));
    });
    Idiomorph.morph(form, found.outerHTML, { morphStyle: "outerHTML", ignoreActiveValue: true });
    if (!part) history.replaceState(null, "", address);
    const renewed = document.getElementById(form.id);
    htmx.process(renewed);
    prepare(renewed);
  };

  // The rule of a field, checked as one types; the browser's own bubbles stay away. Of an input the
  // browser knows the pattern.
  const fits = (input) => input.checkValidity()
    && new RegExp(`^(?:${input.dataset.pattern ?? ".*"})$`, "vs").test(input.value);
  const check = (input) => {
    const hint = document.getElementById(`${input.id}-hint`);
    if (!hint || !("rule" in hint.dataset)) return;
    const judged = input.value !== "";
    hint.classList.toggle("bad", judged && !fits(input));
    hint.classList.toggle("good", judged && fits(input));
  };
  // What was refused is being put right: the reason goes.
  const corrected = (input) => {
    input.removeAttribute("aria-invalid");
    const error = document.getElementById(`field-${input.name}-error`);
    if (error) { error.hidden = true; error.textContent = ""; }
  };
  document.addEventListener("input", (event) => {
    if (event.target.matches("input, select, textarea")) corrected(event.target);
    if (event.target.matches("input, textarea")) check(event.target);
    if (event.target.form) arrange(event.target.form);
    if (dialog()?.contains(event.target)) dialog().dataset.entered = "1";
  });
  document.addEventListener("change", (event) => {
    if (event.target.form) arrange(event.target.form);
    if (event.target.matches("[data-reload]")) again(event.target.form);
  });

  const prepare = (root) => {
    localize(root);
    root.querySelectorAll("form").forEach(arrange);
    root.querySelectorAll("[data-curve]").forEach((each) => window.drawCurve?.(each));
  };

  // Forms in a dialog.
  const open = async (address) => {
    const answer = await fetch(address, { headers: { "HX-Request": "true" } });
    const elsewhere = answer.headers.get("HX-Redirect");
    if (elsewhere) { location.href = elsewhere; return; }
    const box = dialog();
    box.innerHTML = await answer.text();
    htmx.process(box);
    show(box);
  };
  const show = (box) => {
    prepare(box);
    box.setAttribute("aria-label", box.querySelector("h2")?.textContent ?? "");
    if (!box.open) box.showModal();
    const fields = "form :is(input:not([type=hidden]), select, textarea, button)";
    const first = ["[aria-invalid=true]", "[data-begin]", fields, "button"];
    first.map((each) => box.querySelector(each)).find(Boolean)?.focus();
  };
  // Browsers give the clipboard away over TLS and on the machine itself only.
  const copy = async (text) => {
    if (navigator.clipboard) { await navigator.clipboard.writeText(text); return; }
    const area = document.createElement("textarea");
    area.value = text;
    (dialog().open ? dialog() : document.body).append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    if (!done) throw new Error("not copied");
  };
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-dialog]");
    if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
      event.preventDefault();
      open(link.href).catch(async () => { if (await answers()) location.href = link.href; });
    }
    // Beside a dialog: not where text was selected out of it, and not once something was entered.
    const beside = event.target === dialog() && pressed === dialog() && !dialog().dataset.entered;
    if (event.target.closest("[data-close]") || beside) dialog().close();
    const copier = event.target.closest("[data-copy]");
    if (copier) {
      const text = copier.dataset.copy || document.getElementById(copier.dataset.copyFrom).textContent;
      copy(text).then(() => { copier.textContent = "Copied"; say("Copied"); }).catch(() => say("Not copied"));
    }
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.target === dialog()) show(dialog());
    else prepare(event.target);
  });
  document.addEventListener("htmx:configRequest", (event) => {
    event.detail.headers["X-Form-Token"] = document.body.dataset.formToken ?? "";
  });
  document.addEventListener("htmx:sendError", async () => {
    if (!await answers()) say("The service does not answer; nothing was sent.");
  });

  // Pages that keep themselves up to date. Hidden ones rest: a browser has few connections.
  const morphing = {
    morphStyle: "innerHTML",
    ignoreActiveValue: true,
    callbacks: {
      beforeNodeRemoved: (old) => !(old.nodeType === 1 && old.matches(".plot, [data-stay]")),
      beforeNodeMorphed: (old) => !(old.nodeType === 1 && old.matches("[data-keep]")),
      beforeAttributeUpdated: (name, node) => !(name === "open" && node.tagName === "DETAILS"),
    },
  };
  let stream = null;
  const renew = (html) => {
    const fresh = document.createElement("main");
    fresh.innerHTML = html;
    localize(fresh);
    Idiomorph.morph(content(), fresh.innerHTML, morphing);
    htmx.process(content());
    content().querySelectorAll("[data-curve]").forEach((each) => window.drawCurve?.(each));
    const news = content().querySelector("[data-news]")?.textContent.trim();
    if (news && document.getElementById("said").textContent !== news) say(news);
  };
  const follow = () => {
    stream?.close();
    stream = null;
    if (document.hidden || !content()?.hasAttribute("data-live")) return;
    stream = new EventSource(location.pathname + location.search);
    stream.addEventListener("content", (event) => {
      if (content().querySelector("[data-passing]")) { location.reload(); return; }
      away("");
      renew(event.data);
    });
    stream.addEventListener("away", () => away("Not kept up to date at the moment, trying again"));
    stream.addEventListener("still", () => { stream.close(); stream = null; });
    stream.addEventListener("gone", () => { stream.close(); location.reload(); });
    stream.onerror = () => {
      if (stream?.readyState === EventSource.CLOSED) lost();
      else away(LOST);
    };
  };
  // The browser has given up: the login has ended, or too many pages are kept up to date already.
  const lost = async () => {
    const answer = await fetch(location.href, { method: "HEAD", redirect: "manual" }).catch(() => null);
    if (answer?.type === "opaqueredirect") { location.reload(); return; }
    away(answer?.ok ? "Not kept up to date at the moment: reload to see what is new" : LOST);
    setTimeout(follow, 10000);
  };
  // What the page before left to say is read for some seconds; beside what goes on changing it
  // would be untrue soon.
  const passed = () => {
    if (stream) content().querySelector("[data-stay]")?.remove();
  };
  // Where one is, in strips of links that do not fit.
  const strips = () => document.querySelectorAll(":is(.nav, .tabs) [aria-current]").forEach((each) => {
    const strip = each.closest("nav");
    strip.scrollLeft = each.offsetLeft - strip.offsetLeft - 24;
  });
  window.addEventListener("resize", strips);
  document.addEventListener("visibilitychange", follow);
  document.addEventListener("DOMContentLoaded", () => {
    prepare(document);
    strips();
    follow();
    look();
    setTimeout(passed, 6000);
    dialog()?.addEventListener("close", () => {
      dialog().replaceChildren();  // nothing of it goes on
      delete dialog().dataset.entered;
    });
  });
})();
