#check = skip=MaintainerDeprecated
FROM scratch AS Base
MAINTAINER x
