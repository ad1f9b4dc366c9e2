"""Go's templates, as far as --format has them. The expected texts are what docker 28.5 prints for the same."""

from __future__ import annotations

import click
import pytest

from composer.cli import listing
from composer.cli.record import Record
from composer.cli.template import Template

ROW = Record(
    Name="app-web-1",
    State="running",
    Count=3,
    Share=1.5,
    Up=True,
    Nothing="",
    Words=["a", "b"],
    Labels={"z": "1", "a": "2"},
    Publishers=[Record(URL="0.0.0.0", PublishedPort=80), Record(URL="::", PublishedPort=81)],
    Label=lambda name: {"com.x.team": "red"}.get(name, ""),
)


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("plain", "plain"),
        ("{{.Name}}: {{.State}}", "app-web-1: running"),
        ("{{ .Name | upper }}", "APP-WEB-1"),
        ("{{.Name | printf \"%-12s|\"}}", "app-web-1   |"),
        ("{{upper .Name}} {{lower \"ABC\"}} {{title \"two words\"}}", "APP-WEB-1 abc Two Words"),
        ("{{json .Labels}}", '{"z":"1","a":"2"}'),
        ("{{json .Words}}", '["a","b"]'),
        ("{{.Words}} {{.Labels}} {{.Up}} {{.Count}} {{.Share}}", "[a b] map[a:2 z:1] true 3 1.5"),
        ("{{join .Words \", \"}}", "a, b"),
        ("{{index .Words 1}} {{index .Labels \"z\"}}", "b 1"),
        ("{{(index .Publishers 0).URL}}", "0.0.0.0"),
        ("{{.Label \"com.x.team\"}}", "red"),
        ("{{.Labels.z}} {{.Labels.none}}", "1 <no value>"),
        ("{{range .Publishers}}{{.URL}}:{{.PublishedPort}} {{end}}", "0.0.0.0:80 :::81 "),
        ("{{range $i, $p := .Publishers}}{{if $i}},{{end}}{{$p.PublishedPort}}{{end}}", "80,81"),
        ("{{range $k, $v := .Labels}}{{$k}}={{$v}};{{end}}", "a=2;z=1;"),
        ("{{range .Nothing}}x{{else}}none{{end}}", "none"),
        ("{{if .Nothing}}yes{{else}}no{{end}}", "no"),
        ("{{if eq .State \"exited\"}}a{{else if eq .State \"running\"}}b{{else}}c{{end}}", "b"),
        ("{{if and .Up (ne .State \"exited\")}}both{{end}}", "both"),
        ("{{or .Nothing .Name}} {{and .Up .Nothing}}|{{not .Up}}", "app-web-1 |false"),
        ("{{if or (eq .Count 1 2 3) false}}in{{end}}", "in"),
        ("{{if gt .Count 2}}many{{end}}{{if le .Count 2}}few{{end}}", "many"),
        ("{{with .Labels}}{{.z}}{{$.Name}}{{end}}", "1app-web-1"),
        ("{{with .Nothing}}x{{else}}y{{end}}", "y"),
        ("{{$n := .Name}}{{range .Words}}{{$n}}{{.}} {{end}}", "app-web-1a app-web-1b "),
        ("a {{- .Count -}} b", "a3b"),
        ("{{/* nothing */}}x", "x"),
        ("{{println .Name .Count}}", "app-web-1 3\n"),
        ("{{print 1 2}}{{print \"a\" \"b\"}}", "1 2ab"),
        ("{{len .Words}}", "2"),
        ("{{printf \"%s has %d, %q %v %5.1f%%\" .Name .Count .State .Up .Share}}",
         'app-web-1 has 3, "running" true   1.5%'),
        ("{{split .Name \"-\"}} {{truncate .Name 3}} {{pad \"x\" 1 2}}|", "[app web 1] app  x  |"),
        ("{{`raw \\n`}}", "raw \\n"),
        ("{{\"a\\tb\"}}", "a\tb"),
    ],
)  # fmt: skip
def test_what_a_template_says(template: str, text: str) -> None:
    assert Template(template).render(ROW) == text


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{{.Nope}}", "no field '.Nope'; available fields: .Count, .Label, .Labels, .Name"),
        ("{{.Name.Nope}}", "has no fields"),
        ("{{nope .Name}}", "function 'nope' is not defined"),
        ("{{.Name", "not closed"),
        ("{{if .Name}}x", "no {{end}}"),
        ("{{end}}", "unexpected {{end}}"),
        ("{{.Name | }}", "a value is missing"),
        ("{{(.Name}}", "')' is missing"),
        ("{{index .Words 7}}", "no element 7"),
        ("{{$x}}", "undefined variable '$x'"),
        ('{{template "x"}}', "'template' is not supported"),
        ("{{.Name 1}}", "not a function"),
        ("{{range .Name}}{{end}}", "cannot range over"),
        ("{{upper .Count}}", "cannot call 'upper'"),
        ("{{.Name ! }}", "cannot read"),
        ("{{len}}", "cannot call 'len'"),
    ],
)
def test_what_a_template_cannot_say(template: str, said: str) -> None:
    with pytest.raises(click.BadParameter) as caught:
        Template(template).render(ROW)
    assert said in caught.value.message


HEADERS = {"Name": "NAME", "State": "STATUS"}


def test_a_list_is_a_table_json_or_a_template() -> None:
    rows = [Record(Name="a", State="running"), Record(Name="much-longer-name", State="exited")]
    assert listing.render("table", rows, HEADERS) == (
        "NAME               STATUS\na                  running\nmuch-longer-name   exited"
    )
    assert listing.render("json", rows, HEADERS).splitlines()[0] == '{"Name":"a","State":"running"}'
    assert listing.render("json", rows, HEADERS, array=True).startswith('[{"Name":"a"')
    assert listing.render("{{.Name}}={{.State}}", rows, HEADERS) == "a=running\nmuch-longer-name=exited"


def test_a_table_of_a_template_has_headings() -> None:
    rows = [Record(Name="a", State="up", RunningFor="1s", Label=lambda name: "red")]
    layout = 'table {{.State}}\\t{{.RunningFor}}\\t{{.Label "com.x.team_name"}}\\t{{.ID}}'
    headings = listing.render(layout.replace("\\t{{.ID}}", ""), rows, HEADERS).splitlines()
    assert headings == ["STATUS    RUNNING FOR   TEAM NAME", "up        1s            red"]
    assert listing.render("table {{.Name}}", [], HEADERS) == "NAME"
    with pytest.raises(click.BadParameter):
        listing.render(layout, rows, HEADERS)


@pytest.mark.parametrize("text", ["{{.Label}}", "{{.Label | lower}}", '{{.Label "a" "b"}}'])
def test_a_method_without_its_arguments_is_an_error_of_the_template(text: str) -> None:
    with pytest.raises(click.BadParameter, match="Label"):
        Template(text).render(Record(Label=lambda key: key))
