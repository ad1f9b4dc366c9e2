// What compose-go makes of projects, for a comparison with what composer makes of them.
//
// Standard input has a case on each line, in JSON; standard output gets an answer on each line. A project is loaded
// with the options that docker compose loads it with. There are no services to choose from, and nothing is fetched.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/sirupsen/logrus"
)

type request struct {
	Directory   string            `json:"directory"`
	Files       []string          `json:"files"`
	Profiles    []string          `json:"profiles"`
	EnvFiles    []string          `json:"env_files"`
	Environment map[string]string `json:"environment"`
}

type answer struct {
	Model json.RawMessage `json:"model,omitempty"`
	Error string          `json:"error,omitempty"`
}

func main() {
	logrus.SetOutput(io.Discard)
	dotenv.RegisterFormat("raw", raw)
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<24)
	out := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var one request
		if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		if err := out.Encode(load(one)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

// load answers a case; a panic of compose-go is a refusal too.
func load(one request) (found answer) {
	defer func() {
		if reason := recover(); reason != nil {
			found = answer{Error: fmt.Sprintf("panic: %v", reason)}
		}
	}()
	project, err := read(one)
	if err != nil {
		return answer{Error: err.Error()}
	}
	model, err := project.MarshalJSON()
	if err != nil {
		return answer{Error: err.Error()}
	}
	return answer{Model: model}
}

func read(one request) (*types.Project, error) {
	os.Clearenv()
	for name, value := range one.Environment {
		if err := os.Setenv(name, value); err != nil {
			return nil, err
		}
	}
	if err := os.Chdir(one.Directory); err != nil {
		return nil, err
	}
	envFiles := one.EnvFiles
	if len(envFiles) == 0 {
		envFiles = strings.FieldsFunc(os.Getenv("COMPOSE_ENV_FILES"), func(r rune) bool { return r == ',' })
	}
	options, err := cli.NewProjectOptions(one.Files,
		cli.WithWorkingDirectory(""),
		cli.WithOsEnv,
		cli.WithEnv([]string{"PWD=" + one.Directory}),
		cli.WithEnvFiles(envFiles...),
		cli.WithDotEnv,
		cli.WithConfigFileEnv,
		cli.WithDefaultConfigPath,
		// twice: the directory of the project may be another one than the working directory
		cli.WithEnvFiles(envFiles...),
		cli.WithDotEnv,
		cli.WithDefaultProfiles(one.Profiles...),
		cli.WithoutEnvironmentResolution,
	)
	if err != nil {
		return nil, err
	}
	project, err := options.LoadProject(context.Background())
	if err != nil {
		return nil, err
	}
	project, err = project.WithServicesEnvironmentResolved(true)
	if err != nil {
		return nil, err
	}
	if err := project.CheckContainerNameUnicity(); err != nil {
		return nil, err
	}
	return project.WithoutUnnecessaryResources(), nil
}

// raw reads an env file whose values are what stands behind the first equals sign.
func raw(file io.Reader, _ string, variables map[string]string, lookup func(string) (string, bool)) error {
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		line := strings.TrimLeft(lines.Text(), " \t")
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, isSet := strings.Cut(line, "=")
		if strings.ContainsAny(name, " \t") {
			return fmt.Errorf("variable %q contains whitespace", name)
		}
		if !isSet {
			value, isSet = lookup(name)
		}
		if isSet {
			variables[name] = value
		}
	}
	return lines.Err()
}
