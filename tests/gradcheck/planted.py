"""Whether a report names a planted mistake: by one of its right names, not at all, or wrongly."""


def right_names(text):
    """ "un: missing factor; x h: missing path, sign" -> {"un": {"missing factor"}, "x": {…}, "h": {…}}."""
    names = {}
    for part in filter(None, text.split("; ")):
        inputs, kinds = part.split(": ")
        names |= {name: set(kinds.split(", ")) for name in inputs.split()}
    return names


def verdict(judgement, names, words):
    """ "right", "wrong", "not named", or "words" where the kind is right and no sentence has the words."""
    right = right_names(names)
    named = [finding for finding in judgement.findings if finding.kind]
    if any(not set(finding.kind.split(" or ")) <= right.get(finding.input, set()) for finding in named):
        return "wrong"
    if not named:
        return "not named"
    return "right" if any(words in finding.sentence for finding in named) else "words"
