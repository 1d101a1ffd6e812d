package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math/big"
	"os"
	"slices"
	"strings"
)

// site is a place in a file and what to write there instead: one mutant.
type site struct {
	pkg, file string // import path, absolute path
	source    []byte // of the file when the mutants were drawn
	kind      string
	from, to  int // octets of the source
	text      string
}

// swaps are the operators that are changed into others.
var swaps = map[token.Token][]token.Token{
	token.EQL: {token.NEQ}, token.NEQ: {token.EQL},
	token.LSS: {token.LEQ, token.GEQ}, token.LEQ: {token.LSS, token.GTR},
	token.GTR: {token.GEQ, token.LEQ}, token.GEQ: {token.GTR, token.LSS},
	token.LAND: {token.LOR}, token.LOR: {token.LAND},
	token.ADD: {token.SUB}, token.SUB: {token.ADD}, token.MUL: {token.QUO}, token.QUO: {token.MUL},
}

// sitesOf returns every mutant of a Go file.
func sitesOf(pkg, path string) ([]site, error) {
	source, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	files := token.NewFileSet()
	parsed, err := parser.ParseFile(files, path, source, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	f := &finder{pkg: pkg, path: path, source: source, files: files}
	ast.PreorderStack(parsed, nil, func(node ast.Node, above []ast.Node) bool {
		f.visit(node, above)
		return true
	})
	return f.found, nil
}

// finder collects the sites of one file.
type finder struct {
	pkg, path string
	source    []byte
	files     *token.FileSet
	found     []site
}

func (f *finder) offset(p token.Pos) int { return f.files.Position(p).Offset }

func (f *finder) add(kind string, from, to token.Pos, text string) {
	f.found = append(f.found, site{f.pkg, f.path, f.source, kind, f.offset(from), f.offset(to), text})
}

func (f *finder) text(n ast.Node) string {
	return string(f.source[f.offset(n.Pos()):f.offset(n.End())])
}

func (f *finder) visit(node ast.Node, above []ast.Node) {
	switch n := node.(type) {
	case *ast.BinaryExpr:
		for _, other := range swaps[n.Op] {
			f.add(fmt.Sprintf("%s becomes %s", n.Op, other), n.OpPos, n.OpPos+token.Pos(len(n.Op.String())), other.String())
		}
	case *ast.IfStmt:
		f.add("condition negated", n.Cond.Pos(), n.Cond.End(), "!("+f.text(n.Cond)+")")
	case *ast.BasicLit:
		value, ok := new(big.Int).SetString(strings.ReplaceAll(n.Value, "_", ""), 0)
		if n.Kind == token.INT && ok {
			f.add("constant one larger", n.Pos(), n.End(), value.Add(value, big.NewInt(1)).String())
		}
	case *ast.Ident:
		if opposite := map[string]string{"true": "false", "false": "true"}[n.Name]; opposite != "" {
			f.add(n.Name+" becomes "+opposite, n.Pos(), n.End(), opposite)
		}
	case *ast.ExprStmt, *ast.IncDecStmt, *ast.SendStmt, *ast.DeferStmt:
		f.drop(n, above)
	case *ast.AssignStmt:
		if n.Tok != token.DEFINE {
			f.drop(n, above)
		}
	case *ast.ReturnStmt:
		f.noError(n, above)
	}
}

// drop leaves a statement of a block out. What a statement is part of, as the head of a for, it stays in.
func (f *finder) drop(n ast.Node, above []ast.Node) {
	statement, _ := n.(ast.Stmt)
	var list []ast.Stmt
	switch parent := above[len(above)-1].(type) {
	case *ast.BlockStmt:
		list = parent.List
	case *ast.CaseClause:
		list = parent.Body
	case *ast.CommClause:
		list = parent.Body
	}
	if slices.Contains(list, statement) {
		f.add("statement dropped", n.Pos(), n.End(), "")
	}
}

// noError makes a function return nil in place of its error.
func (f *finder) noError(n *ast.ReturnStmt, above []ast.Node) {
	if len(n.Results) == 0 {
		return
	}
	last := n.Results[len(n.Results)-1]
	if name, ok := last.(*ast.Ident); ok && name.Name == "nil" {
		return
	}
	for _, node := range slices.Backward(above) {
		var function *ast.FuncType
		switch node := node.(type) {
		case *ast.FuncDecl:
			function = node.Type
		case *ast.FuncLit:
			function = node.Type
		default:
			continue
		}
		if function.Results.NumFields() != len(n.Results) {
			return // return f(), with several results
		}
		types := function.Results.List
		if name, ok := types[len(types)-1].Type.(*ast.Ident); ok && name.Name == "error" {
			f.add("no error returned", last.Pos(), last.End(), "nil")
		}
		return
	}
}

// mutated returns the file with the mutant in it, and where it differs: the line's number, and the lines before and
// after, each without the space around it.
func (s site) mutated() (text []byte, line int, before, after string) {
	source := s.source
	text = slices.Concat(source[:s.from], []byte(s.text), source[s.to:])
	line = 1 + strings.Count(string(source[:s.from]), "\n")
	begin := strings.LastIndexByte(string(source[:s.from]), '\n') + 1
	lineEnd := func(b []byte, from int) int {
		if end := strings.IndexByte(string(b[from:]), '\n'); end >= 0 {
			return from + end
		}
		return len(b)
	}
	before = strings.TrimSpace(string(source[begin:lineEnd(source, s.to)]))
	after = strings.TrimSpace(string(text[begin:lineEnd(text, s.from+len(s.text))]))
	return text, line, before, after
}
