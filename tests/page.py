"""Checks a page that lookat compare --html wrote, and figures of --svg.

    page.py PAGE JSON [AT_LEAST]   the page is well-formed XML too, asks for nothing outside itself,
                                   runs nothing, and every number in it is that of the JSON;
                                   AT_LEAST: how many numbers it must have
    page.py --page PAGE            the same of a page without JSON, but for the numbers
    page.py --svg FILE...          the figures are well-formed and ask for nothing

Prints what is wrong, one thing a line, and ends with status 1 then. Only the standard library is
used."""
import json
import math
import re
import sys
import xml.etree.ElementTree as tree

SVG = "{http://www.w3.org/2000/svg}"
wrong = []


def say(what):
    if len(wrong) < 20:
        wrong.append(what)


def text_of(element):
    return "".join(element.itertext())


def check_harmless(root):
    """No element that loads or runs something, no address outside the page, no event handler."""
    allowed = set(
        "html head meta link title style body main header footer nav section article h1 h2 h3 h4 p a "
        "strong small b i em span div dl dt dd table thead tbody tr th td details summary "
        "figure figcaption data code pre ul li br svg g path rect text".split())
    for element in root.iter():
        name = element.tag.replace(SVG, "")
        if name not in allowed:
            say("element %s" % name)
        for key, value in element.attrib.items():
            if key.lower().startswith("on") or key in ("src", "srcset", "action", "formaction"):
                say("attribute %s of %s" % (key, name))
            if key == "href" and not (value.startswith("#") or value == "data:,"):
                say("an address: %s" % value)
            if key == "style" and not re.fullmatch(r"width:[0-9.]+%", value):
                say("a style: %s" % value)
        if name == "style" and re.search(r"url\(|@import|expression|<", element.text or ""):
            say("the style asks for something")


def resolve(document, pointer):
    for part in pointer.split("/")[1:]:
        document = document[int(part)] if isinstance(document, list) else document[part]
    return document


def shown_number(text):
    """The first number of a text and the size of half a unit of its last digit."""
    found = re.match(r"\s*(-?[0-9][0-9,]*(?:\.([0-9]+))?)(?:e(-?[0-9]+))?", text)
    if not found:
        return None
    scale = 10.0 ** int(found.group(3) or 0)
    number = float(found.group(1).replace(",", "")) * scale
    return number, 0.5000001 * scale * 10.0 ** -len(found.group(2) or "")


def check_number(element, document):
    at = element.get("data-at")
    try:
        want = resolve(document, at)
        over = element.get("data-over")
        if over:
            want = want / resolve(document, over)
    except (KeyError, IndexError, ValueError, TypeError, ZeroDivisionError):
        say("the JSON has no number at %s" % at)
        return
    value, text = element.get("value"), text_of(element)
    if want is None:
        if value != "" or text not in ("NaN", "inf", "-inf"):
            say("%s is null in the JSON and %s (%s) in the page" % (at, value, text))
        return
    if value == "" or float(value) != want:
        say("%s is %r in the JSON and %s in the page" % (at, want, value))
        return
    shown = shown_number(text)
    if not shown:
        say("%s shows no number: %s" % (at, text))
    elif abs(shown[0] - want) > shown[1]:
        say("%s is %r and shown as %s" % (at, want, text))


def check_numbers(root, document, at_least):
    data = [e for e in root.iter() if e.tag == "data"]
    if len(data) < at_least:
        say("%d numbers, expected %d at least" % (len(data), at_least))
    for element in data:
        if not element.get("data-at"):
            say("a number without a place: %s" % text_of(element))
            continue
        check_number(element, document)
    for cell in root.iter("td"):
        text = text_of(cell)
        if not cell.get("class") and not list(cell.iter("data")) and text != "\u2013":
            say("a cell without a number of the JSON: %s" % text)


def check_probabilities(root, document):
    """The tokens of a free text tell their probabilities, in the order of the JSON."""
    for text in root.iter("p"):
        at = text.get("data-logprobs")
        if not at:
            continue
        want = [math.exp(x) for x in resolve(document, at)]
        said = [x for span in text.iter("span") for x in span.get("title").split()]
        if len(said) != len(want):
            say("%d probabilities at %s, expected %d" % (len(said), at, len(want)))
            continue
        for shown, x in zip(said, want):
            number = shown_number(shown)
            if not number or abs(number[0] - x) > number[1]:
                say("a token of %s has the probability %r and says %s" % (at, x, shown))


def check_addresses(root):
    ids = [e.get("id") for e in root.iter() if e.get("id")]
    if len(ids) != len(set(ids)):
        say("an id comes twice")
    for element in root.iter("a"):
        if element.get("href")[1:] not in ids:
            say("no place %s" % element.get("href"))


def parse(path):
    try:
        return tree.parse(path).getroot()
    except tree.ParseError as error:
        say("%s: %s" % (path, error))
        return None


def main():
    if sys.argv[1] == "--svg":
        for path in sys.argv[2:]:
            root = parse(path)
            if root is None:
                continue
            if root.tag != SVG + "svg" or not root.get("viewBox") or not root.get("aria-label"):
                say("%s: no figure" % path)
            check_harmless(root)
    elif sys.argv[1] == "--page":
        root = parse(sys.argv[2])
        if root is not None:
            check_harmless(root)
    else:
        root = parse(sys.argv[1])
        with open(sys.argv[2], encoding="utf-8") as file:
            document = json.load(file)
        if root is not None:
            check_harmless(root)
            check_numbers(root, document, int(sys.argv[3]) if len(sys.argv) > 3 else 1)
            check_probabilities(root, document)
            check_addresses(root)
    print("\n".join(wrong))
    return 1 if wrong else 0


sys.exit(main())
