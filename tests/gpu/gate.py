"""The static gate: does every use of ``xp`` in the source exist in CuPy, with those arguments?

CuPy imports without a GPU, so that its names and signatures can be asked anywhere. Where a function is compiled, its
docstring's first line is its signature. ``offences(source, cupy)`` lists the lines that would fail on a device:

* a name that ``cupy`` lacks, or one that it has but that waits for the device or is not deterministic (FORBIDDEN);
* the same for ``special(x).name`` and ``cupyx.scipy.special``;
* a keyword, or a number of arguments, that CuPy's function or array method does not take;
* a namespace under another name than ``xp``, which the gate would not see;
* in device code (``ops``), NumPy by name, and ``where=`` or ``initial=`` on a reduction.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re

FORBIDDEN = {
    "add.at": "scatter-adds are not deterministic on a device: loop over the taps",
    "lib.stride_tricks.sliding_window_view": "waits for the device: use as_strided",
    "nonzero": "waits for the device",
    "flatnonzero": "waits for the device",
    "argwhere": "waits for the device",
    "unique": "waits for the device",
    "asnumpy": "NumPy has no such function",
    "ElementwiseKernel": "NumPy has no such function",
    "RawKernel": "NumPy has no such function",
}
# Keywords of the functions that take **kwargs, from their docstrings.
OPEN_KEYWORDS = {
    "einsum": {"dtype", "optimize"},
    "pad": {"constant_values", "end_values", "stat_length", "reflect_type"},
    "meshgrid": {"copy", "sparse", "indexing"},
}


def offences(source: str, cupy, *, device_code: bool = True) -> list[str]:
    """``line: what is wrong`` for every use in ``source`` that CuPy would not take."""
    found: list[tuple[int, str]] = []
    tree = ast.parse(source)
    inner = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    calls = {id(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        complaint = ""
        if isinstance(node, ast.Attribute) and id(node) not in inner and not _is_namespace(node):
            label, chain = _chain(node)
            if chain:
                complaint = _check_name(label, chain, calls.get(id(node)), cupy)
            elif device_code and id(node) in calls:
                complaint = _check_method(node.attr, calls[id(node)], cupy)
        elif isinstance(node, ast.Assign):
            complaint = _check_binding(node)
        elif device_code and isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            if any(name.split(".")[0] in ("numpy", "cupy") for name in names):
                complaint = "device code asks namespace(array) for its functions, it does not import NumPy or CuPy"
        if complaint:
            found.append((node.lineno, complaint))
    return [f"{line}: {complaint}" for line, complaint in sorted(found)]


def _is_namespace(node: ast.expr) -> bool:
    """``xp``, ``self.xp`` or ``namespace(...)``."""
    if isinstance(node, ast.Call):
        node = node.func
        return isinstance(node, ast.Name) and node.id == "namespace"
    return (isinstance(node, ast.Name) and node.id == "xp") or (isinstance(node, ast.Attribute) and node.attr == "xp")


def _chain(node: ast.expr) -> tuple[str, list[str]]:
    """``"xp", ["lib", "as_strided"]`` of ``xp.lib.as_strided``; ``"special", ["erf"]`` of ``special(x).erf``."""
    names: list[str] = []
    while isinstance(node, ast.Attribute) and not _is_namespace(node):
        names.insert(0, node.attr)
        node = node.value
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "special":
        return "special", names
    return "xp", names if _is_namespace(node) else []


def _check_binding(node: ast.Assign) -> str:
    target, value = node.targets[0], node.value
    pairs = [(target, value)]
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        pairs = list(zip(target.elts, value.elts, strict=False))
    for name, bound in pairs:
        if isinstance(bound, ast.Call) and _is_namespace(bound) and not _is_namespace(name):
            return "name the namespace xp"
    return ""


def _check_name(label: str, chain: list[str], call: ast.Call | None, cupy) -> str:
    dotted = ".".join(chain)
    if dotted in FORBIDDEN:
        return f"xp.{dotted}: {FORBIDDEN[dotted]}"
    function = cupy if label == "xp" else importlib.import_module("cupyx.scipy.special")
    for name in chain:
        if isinstance(function, cupy.ufunc):
            return f"{label}.{dotted}: methods of ufuncs are not in every CuPy, and not deterministic"
        if not hasattr(function, name):
            return f"{label}.{dotted} is not in CuPy {cupy.__version__}"
        function = getattr(function, name)
    return _check_call(f"{label}.{dotted}", function, call) if call is not None else ""


def _check_method(name: str, call: ast.Call, cupy) -> str:
    reduction = name in ("sum", "mean", "max", "min", "prod", "any", "all", "var", "std", "argmax", "argmin")
    keywords = {keyword.arg for keyword in call.keywords}
    if reduction and keywords & {"where", "initial"}:
        return f".{name}({', '.join(sorted(keywords & {'where', 'initial'}))}=): not in CuPy"
    method = getattr(cupy.ndarray, name, None)
    if method is None or not keywords:
        return ""
    unknown = keywords - {None} - set(signature(method).parameters)
    return f".{name}({min(unknown)}=): not an argument of CuPy's method" if unknown else ""


def _check_call(label: str, function, call: ast.Call) -> str:
    if any(isinstance(arg, ast.Starred) for arg in call.args) or any(keyword.arg is None for keyword in call.keywords):
        return ""
    if not callable(function):
        return f"{label} is no function in CuPy"
    law = signature(function)
    keywords = [keyword.arg for keyword in call.keywords]
    try:
        law.bind(*call.args, **dict.fromkeys(keywords))
    except TypeError as error:
        return f"{label}{law}: {error}"
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in law.parameters.values()):
        unknown = set(keywords) - set(law.parameters) - OPEN_KEYWORDS.get(function.__name__, set())
        return f"{label}({min(unknown)}=): not an argument of CuPy's function" if unknown else ""
    return ""


def signature(function) -> inspect.Signature:
    """The signature of a CuPy function; of a compiled one, read from its docstring's first line."""
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):
        pass
    document = function.__doc__ or ""
    if "(" not in document.split("\n")[0] and hasattr(function, "nin"):  # a ufunc: those of one kind are all alike
        operands = ", ".join(f"x{k + 1}" for k in range(function.nin))
        document = f"ufunc({operands}, /, out=None, *, casting='same_kind', dtype=None)"
    head = re.match(r"\s*[\w.]+\((?P<arguments>.*?)\)\s*(->|$)", document.split("\n")[0])
    if head is None:
        raise LookupError(f"{function!r} has no signature, and none in its docstring")
    parameters, kind = [], inspect.Parameter.POSITIONAL_OR_KEYWORD
    for text in head["arguments"].replace("\\", "").split(","):
        name, _, default = (part.strip() for part in text.partition("="))
        if name == "/":
            parameters = [parameter.replace(kind=inspect.Parameter.POSITIONAL_ONLY) for parameter in parameters]
        elif name == "*":
            kind = inspect.Parameter.KEYWORD_ONLY
        elif name.startswith("**"):
            parameters.append(inspect.Parameter(name[2:], inspect.Parameter.VAR_KEYWORD))
        elif name.startswith("*"):
            parameters.append(inspect.Parameter(name[1:], inspect.Parameter.VAR_POSITIONAL))
            kind = inspect.Parameter.KEYWORD_ONLY
        elif name not in ("self", ""):
            given = inspect.Parameter.empty if not default and "=" not in text else default
            parameters.append(inspect.Parameter(name.split()[-1], kind, default=given))  # "Py_ssize_t axis1"
    return inspect.Signature(parameters)
