# check=experimental=InvalidDefinitionDescription;skip=StageNameCasing
# wrong
FROM scratch AS Base
MAINTAINER x
