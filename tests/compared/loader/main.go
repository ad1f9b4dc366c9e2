// What compose-go makes of projects, for a comparison with what composer makes of them.
//
// Standard input has a case on each line, in JSON; standard output gets an answer on each line. A project is loaded
// with the options that docker compose loads it with. There are no services to choose from, and nothing is fetched.
package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/compose-spec/compose-go/v2/cli"
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
	Model    json.RawMessage   `json:"model,omitempty"`
	Services map[string]string `json:"services,omitempty"`
	Networks map[string]string `json:"networks,omitempty"`
	Error    string            `json:"error,omitempty"`
}

func main() {
	logrus.SetOutput(io.Discard)
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
	if err == nil {
		found, err = describe(project)
	}
	if err != nil {
		return answer{Error: err.Error()}
	}
	return found
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
	options, err := cli.NewProjectOptions(one.Files,
		cli.WithWorkingDirectory(""),
		cli.WithOsEnv,
		cli.WithEnv([]string{"PWD=" + one.Directory}),
		cli.WithEnvFiles(one.EnvFiles...),
		cli.WithDotEnv,
		cli.WithConfigFileEnv,
		cli.WithDefaultConfigPath,
		// twice: the directory of the project may be another one than the working directory
		cli.WithEnvFiles(one.EnvFiles...),
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

func describe(project *types.Project) (answer, error) {
	found := answer{Services: map[string]string{}, Networks: map[string]string{}}
	model, err := project.MarshalJSON()
	if err != nil {
		return found, err
	}
	found.Model = model
	for name, service := range project.Services {
		// what does not concern a container has no part in its hash
		service.Build, service.PullPolicy, service.Scale = nil, "", nil
		service.DependsOn, service.Profiles = nil, nil
		if service.Deploy != nil {
			deploy := *service.Deploy
			deploy.Replicas = nil
			service.Deploy = &deploy
		}
		if found.Services[name], err = hash(service); err != nil {
			return found, err
		}
	}
	for name, network := range project.Networks {
		if found.Networks[name], err = hash(network); err != nil {
			return found, err
		}
	}
	return found, nil
}

func hash(value any) (string, error) {
	text, err := json.Marshal(value)
	digest := sha256.Sum256(text)
	return hex.EncodeToString(digest[:]), err
}
