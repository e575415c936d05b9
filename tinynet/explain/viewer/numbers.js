// Numbers, names and formulas as text, to the very digits that tinynet prints in a terminal.

const MINUS = "−";
const NO_NUMBERS = ["NaN", "Infinity", "-Infinity"]; // as JSON has to write them

/** Six significant digits, as Python's %g writes them, with a true minus sign. */
function number(x) {
  if (Number.isNaN(x)) return "nan";
  if (!Number.isFinite(x)) return x > 0 ? "inf" : MINUS + "inf";
  if (x === 0) return "0";
  const sign = x < 0 ? MINUS : "";
  const long = Math.abs(x).toExponential(40);
  const rest = long.slice(7, long.indexOf("e"));
  const even = "02468".includes(long[6]); // Python rounds a tie to the even digit, toExponential upwards
  const [mantissa, power] = (
    /^50*$/.test(rest) && even ? long.slice(0, 7) + long.slice(long.indexOf("e")) : Math.abs(x).toExponential(5)
  ).split("e");
  const digits = mantissa.replace(".", "");
  const exponent = Number(power);
  if (exponent < -4 || exponent >= 6) {
    const shown = withoutZeros(digits[0] + "." + digits.slice(1));
    return `${sign}${shown}e${exponent < 0 ? MINUS : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
  }
  if (exponent < 0) return sign + withoutZeros("0." + "0".repeat(-exponent - 1) + digits);
  return sign + withoutZeros(digits.slice(0, exponent + 1) + "." + digits.slice(exponent + 1));
}

function withoutZeros(text) {
  return text.includes(".") ? text.replace(/\.?0*$/, "") : text;
}

/** A name as it stands inside a formula: in brackets where it could be read as a formula itself. */
function atom(name) {
  return /[\s+\-*/×−=<>(),^&|]/.test(name.replace(/\[[\d,]+\]$/, "")) ? `(${name})` : name;
}

function clip(text, longest) {
  const letters = [...text];
  return letters.length <= longest ? text : letters.slice(0, longest - 1).join("") + "…";
}

function counted(n, one, many = one + "s") {
  return `${n.toLocaleString("en")} ${n === 1 ? one : many}`;
}

/** A formula with its variables filled in by `operand`, which gives a name or a number for input i, or -1 for the result. */
function fill(pieces, operand) {
  return pieces
    .map((piece, i) => {
      const shown = typeof piece === "object" ? operand(piece.input) : NO_NUMBERS.includes(piece) ? Number(piece) : piece;
      if (typeof shown !== "number") return shown;
      const before = pieces[i - 1],
        after = pieces[i + 1];
      const bracketed = shown < 0 && ([MINUS, "-", ` ${MINUS} `, " - ", " + "].includes(before) || after === " ** ");
      return bracketed ? `(${number(shown)})` : number(shown);
    })
    .join("");
}

/** The sides joined by equals signs, none twice in a row. */
function equation(...sides) {
  return sides.filter((side, i) => side !== sides[i - 1]).join(" = ");
}
