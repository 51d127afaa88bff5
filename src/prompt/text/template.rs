//! What a text uses of its template language, found in its syntax tree before it is compiled.
//!
//! Texts need little: variables and their fields, conditions, comparisons, `for` over a variable, numbers added. Nothing else is
//! let through, so that a pack can neither bind a value and double it, nor call, filter or import anything.

use std::collections::BTreeSet;

use minijinja::machinery::ast::{BinOpKind, Expr, Stmt};
use minijinja::machinery::{Token, parse, tokenize};

/// Most words and signs in the tags of a text; the parser descends into itself for some of them.
const MAX_TOKENS: usize = 2000;
/// Most of them in one tag.
const MAX_TAG_TOKENS: usize = 100;

/// The variables of a text: `name`, `name.field`, and `name[]` for an element of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Variables {
    /// All that it uses.
    pub used: BTreeSet<String>,
    /// Those that it shows whatever the others are.
    pub shown: BTreeSet<String>,
}

/// What a text must not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Line in the text, from 1.
    pub line: usize,
    /// What stands there.
    pub what: String,
}

/// The variables of a text that is nothing but what texts may be.
///
/// # Errors
/// The first thing that is no template, or more than texts may use.
pub fn variables(source: &str) -> Result<Variables, Refused> {
    limit(source)?;
    let tree = parse(source, "text", Default::default(), Default::default()).map_err(|error| syntax(&error))?;
    let mut walk = Walk::default();
    walk.statement(&tree)?;
    Ok(walk.found)
}

fn syntax(error: &minijinja::Error) -> Refused {
    let what = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    Refused { line: error.line().unwrap_or(1), what }
}

/// Refuses tags that are so long or so many that their tree would be too deep.
fn limit(source: &str) -> Result<(), Refused> {
    let (mut all, mut in_tag) = (0, 0);
    for token in tokenize(source, false, Default::default(), Default::default()) {
        let (token, span) = token.map_err(|error| syntax(&error))?;
        match token {
            Token::TemplateData(_) => continue,
            Token::VariableStart | Token::BlockStart => in_tag = 0,
            _ => in_tag += 1,
        }
        all += 1;
        if in_tag > MAX_TAG_TOKENS || all > MAX_TOKENS {
            return Err(Refused {
                line: usize::from(span.start_line),
                what: "the tags are too long or too many".into(),
            });
        }
    }
    Ok(())
}

#[derive(Default)]
struct Walk<'a> {
    found: Variables,
    /// Names that loops bind, with what they stand for.
    bound: Vec<(&'a str, String)>,
    /// Conditions and loops around.
    depth: usize,
}

impl<'a> Walk<'a> {
    fn statements(&mut self, statements: &[Stmt<'a>]) -> Result<(), Refused> {
        statements.iter().try_for_each(|statement| self.statement(statement))
    }

    fn statement(&mut self, statement: &Stmt<'a>) -> Result<(), Refused> {
        match statement {
            Stmt::Template(template) => self.statements(&template.children),
            Stmt::EmitRaw(_) => Ok(()),
            Stmt::EmitExpr(shown) => {
                if let Some(path) = self.path(&shown.expr).filter(|_| self.depth == 0) {
                    self.found.shown.insert(path);
                }
                self.expression(&shown.expr)
            }
            Stmt::IfCond(condition) => {
                self.expression(&condition.expr)?;
                self.depth += 1;
                self.statements(&condition.true_body)?;
                self.statements(&condition.false_body)?;
                self.depth -= 1;
                Ok(())
            }
            Stmt::ForLoop(each) => {
                let line = usize::from(each.span().start_line);
                let (Expr::Var(name), Some(list), None, false) =
                    (&each.target, self.path(&each.iter), &each.filter_expr, each.recursive)
                else {
                    return Err(refused(line, "`for` may only be `for NAME in VARIABLE`"));
                };
                self.expression(&each.iter)?;
                self.depth += 1;
                self.bound.push((name.id, format!("{list}[]")));
                self.statements(&each.body)?;
                self.bound.pop();
                self.statements(&each.else_body)?;
                self.depth -= 1;
                Ok(())
            }
            Stmt::WithBlock(tag) => Err(tag_refused(tag.span().start_line, "with")),
            Stmt::Set(tag) => Err(tag_refused(tag.span().start_line, "set")),
            Stmt::SetBlock(tag) => Err(tag_refused(tag.span().start_line, "set")),
            Stmt::AutoEscape(tag) => Err(tag_refused(tag.span().start_line, "autoescape")),
            Stmt::FilterBlock(tag) => Err(tag_refused(tag.span().start_line, "filter")),
            Stmt::Do(tag) => Err(tag_refused(tag.span().start_line, "do")),
        }
    }

    fn expression(&mut self, expression: &Expr<'a>) -> Result<(), Refused> {
        let line = usize::from(expression.span().start_line);
        if let Some(path) = self.path(expression) {
            // `loop` and its fields are known wherever a loop is.
            let of_loop = path == "loop" || path.starts_with("loop.");
            if !of_loop || self.bound.is_empty() {
                self.found.used.insert(path);
            }
            return Ok(());
        }
        match expression {
            Expr::Const(_) => Ok(()),
            Expr::UnaryOp(unary) => self.expression(&unary.expr),
            Expr::BinOp(binary) => {
                let numbers = matches!(&binary.left, Expr::Const(_)) || matches!(&binary.right, Expr::Const(_));
                let allowed = match binary.op {
                    // Two variables may be two long texts.
                    BinOpKind::Add | BinOpKind::Sub => numbers,
                    BinOpKind::ScAnd | BinOpKind::ScOr => true,
                    BinOpKind::Eq | BinOpKind::Ne | BinOpKind::Lt | BinOpKind::Lte => true,
                    BinOpKind::Gt | BinOpKind::Gte | BinOpKind::In => true,
                    _ => false,
                };
                if !allowed {
                    return Err(refused(line, "only numbers may be added, and nothing be multiplied or joined"));
                }
                self.expression(&binary.left)?;
                self.expression(&binary.right)
            }
            Expr::Compare(compare) => {
                self.expression(&compare.expr)?;
                compare.ops.iter().try_for_each(|operand| self.expression(&operand.expr))
            }
            Expr::IfExpr(choice) => {
                self.expression(&choice.test_expr)?;
                self.expression(&choice.true_expr)?;
                choice.false_expr.iter().try_for_each(|other| self.expression(other))
            }
            Expr::Test(test) if matches!(test.name, "none" | "defined") && test.args.is_empty() => {
                self.expression(&test.expr)
            }
            Expr::Test(test) => Err(refused(line, &format!("`is {}` is not available", test.name))),
            Expr::Filter(filter) => Err(refused(line, &format!("the filter `{}` is not available", filter.name))),
            other => Err(refused(line, &format!("a {} is not available", other.description()))),
        }
    }

    /// The name of a variable, of a field of one, or of an element by its number.
    fn path(&self, expression: &Expr<'a>) -> Option<String> {
        match expression {
            Expr::Var(variable) => {
                let bound = self.bound.iter().rev().find(|(name, _)| *name == variable.id);
                Some(bound.map_or_else(|| variable.id.to_owned(), |(_, path)| path.clone()))
            }
            Expr::GetAttr(field) => Some(format!("{}.{}", self.path(&field.expr)?, field.name)),
            Expr::GetItem(item) => {
                let Expr::Const(number) = &item.subscript_expr else { return None };
                number.value.is_integer().then_some(())?;
                Some(format!("{}[]", self.path(&item.expr)?))
            }
            _ => None,
        }
    }
}

fn tag_refused(line: u16, tag: &str) -> Refused {
    refused(usize::from(line), &format!("the tag `{tag}` is not available"))
}

fn refused(line: usize, what: &str) -> Refused {
    Refused { line, what: what.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_names_its_variables() {
        for (text, used, shown) in [
            ("plain", "", ""),
            ("{{ a }} and {{ b.c }}", "a b.c", "a b.c"),
            ("{% if a %}{{ b }}{% elif c == 'x' %}{{ 1 if d else e }}{% endif %}", "a b c d e", ""),
            ("{% for x in list %}{{ x }}{{ x.name }}{{ loop.index + 1 }}{% endfor %}", "list list[] list[].name", ""),
            ("{{ list[0] }}{{ n + 1 }}{{ m or '-' }}", "list[] m n", "list[]"),
            ("{% for x in a.b %}{% for x in x.c %}{{ x }}{% endfor %}{% endfor %}", "a.b a.b[].c a.b[].c[]", ""),
            (
                "{# {{ no }} #}{% raw %}{{ no }}{% endraw %}{% if a is not none and b is defined %}{% endif %}",
                "a b",
                "",
            ),
        ] {
            let found = variables(text).unwrap_or_else(|refused| panic!("{text}: {refused:?}"));
            let words = |set: &BTreeSet<String>| set.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
            assert_eq!((words(&found.used).as_str(), words(&found.shown).as_str()), (used, shown), "{text}");
        }
    }

    #[test]
    fn what_could_grow_call_or_reach_is_refused() {
        for text in [
            "{% set a = 1 %}",
            "{% set a %}x{% endset %}",
            "{% with a = b %}{% endwith %}",
            "{% for a in [b] %}{% endfor %}",
            "{% for a in range(9) %}{% endfor %}",
            "{% for a in b recursive %}{{ loop(a) }}{% endfor %}",
            "{% for a, b in c %}{% endfor %}",
            "{% for a in b if a %}{% endfor %}",
            "{{ a ~ a }}",
            "{{ a * 9 }}",
            "{{ 'a' * 99999999999 }}",
            "{{ a + a }}",
            "{{ 9 ** 9 }}",
            "{{ a | upper }}",
            "{{ debug() }}",
            "{{ a.b() }}",
            "{{ a[b] }}",
            "{{ a['b'] }}",
            "{{ a[1:] }}",
            "{{ {'a': 1} }}",
            "{{ a is divisibleby 2 }}",
            "{% autoescape true %}{% endautoescape %}",
            "{% filter upper %}{% endfilter %}",
            "{% do a() %}",
            "{% include 'a' %}",
            "{% macro a() %}{% endmacro %}",
            "{% extends 'a' %}",
            "{% if a %}",
            "{{ a",
            "{# a",
        ] {
            assert!(variables(text).is_err(), "{text}");
        }
        assert_eq!(variables("one\n\n{{ a ~ b }}").unwrap_err().line, 3);
    }

    #[test]
    fn no_nesting_is_too_deep_for_the_stack() {
        let many = 50_000;
        for text in [
            format!("{{{{ {}a{} }}}}", "(".repeat(many), ")".repeat(many)),
            format!("{{{{ 1{} }}}}", "+1".repeat(many)),
            format!("{{{{ {}a }}}}", "not ".repeat(many)),
            format!("{{{{ a{} }}}}", ".b".repeat(many)),
            format!("{{% if a %}}{}{{% endif %}}", "{% elif a %}".repeat(many)),
            "{% if a %}".repeat(many),
            "{% for a in b %}".repeat(many),
        ] {
            assert!(variables(&text).is_err(), "{text:.30}");
        }
        let most = MAX_TOKENS / 4 - 2;
        let nested = format!("{}{}", "{% if a %}".repeat(most / 2), "{% endif %}".repeat(most / 2));
        for text in [format!("{{% if a %}}{}{{% endif %}}", "{% elif a %}".repeat(most)), nested] {
            // Refused or not, it comes back; what it lets through is compiled.
            if variables(&text).is_ok() {
                minijinja::Environment::new().template_from_str(&text).expect("compiles");
            }
        }
    }
}
