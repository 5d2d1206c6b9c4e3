"use strict";
// Elements are made here alone. Names of models, layers and speakers come from outside and go in as
// text nodes or attributes, so that none of them can be taken for HTML.

const SVG = "http://www.w3.org/2000/svg";

/** Give an element attributes and children; a child that is not an element becomes text. */
function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    element.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined) continue;
    element.append(child instanceof Node ? child : String(child));
  }
  return element;
}

const html = (tag, attributes, ...children) =>
  fill(document.createElement(tag), attributes, children);
const svg = (tag, attributes, ...children) =>
  fill(document.createElementNS(SVG, tag), attributes, children);
const byId = name => document.getElementById(name);

/** A button that runs `action`. */
function button(text, action, attributes = {}) {
  const made = html("button", { type: "button", ...attributes }, text);
  made.addEventListener("click", action);
  return made;
}

/** Say something to people who use a screen reader. */
function announce(text) {
  byId("announcement").textContent = text;
}

/** `text` in at most `length` characters. */
const shortened = (text, length) =>
  text.length <= length ? text : text.slice(0, Math.max(1, length - 1)) + "…";

/** The width in pixels of a text in the charts' type, near enough to place labels. */
const textWidth = text => 6.9 * text.length;
